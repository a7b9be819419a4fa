"""The scores of a classification of images, as text."""

from spikeseg.evaluation.classification import PUBLISHED_IMAGES, classification_table

LAYER = {"images": 120, "milliseconds_per_image": 0.25, "dead": 1, "near_duplicates": 2, "stopped": "converged"}
METRICS = {
    "dataset": "digits",
    "images": {"train": 900, "test": 300},
    "classes": ["0", "1", "2"],
    "accuracy": 0.9,
    "accuracy_deviation": 0.01,
    "controls": {
        "pixels": {"accuracy": 0.8, "title": "pixels", "images_network_better": 40, "images_control_better": 10, "p": 0.001234}
    },
    "runs": [{"layers": [LAYER], "milliseconds_per_image": {"encode": 0.5, "learn": 1.0}}] * 2,
}


def test_every_line():
    assert classification_table(METRICS).splitlines() == [
        "digits: 900 training images, 300 test images, 3 classes",
        "  0.9000 +- 0.0100 over 2 seeds  trained network, linear SVM on its features",
        "  0.8000  pixels (better on 10 images, worse on 40, p 0.0012)",
        "  layer 1: converged after 120 images (40 per class), 0.250 ms each; 1 maps never won, 2 near-duplicates",
        f"  the paper: {PUBLISHED_IMAGES}",
        "  ms per image: encode 0.500, learn 1.000",
    ]
    one = {**METRICS, "runs": METRICS["runs"][:1], "controls": {}}
    assert classification_table(one).splitlines()[1] == "  0.9000  trained network, linear SVM on its features"
