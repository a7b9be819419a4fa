"""Learning from images: rates that grow, when it stops, and the same weights as a loop by hand."""

import contextlib
import dataclasses

import numpy as np
import pytest
import torch

from spikeseg.config.load import load_config
from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SpikeLists
from spikeseg.errors import InputError
from spikeseg.learning import image_training
from spikeseg.learning.image_training import learn, train_network, untrained_network
from spikeseg.models.image_network import ImageNetwork
from spikeseg.ops import reference
from spikeseg.ops.types import LearningState, Plasticity, PlasticityForm, TrainingRule


def lists(samples=12, size=(9, 8), steps=5):
    rng = np.random.default_rng(0)
    when = rng.integers(0, 2 * steps, (samples, 2, *size))
    return SpikeLists.of(np.arange(steps)[:, None, None, None] == when[:, None])


def settings(stdp=(), convergence=(), **images):
    changes = {"maps": (6,), "kernels": (3,), "thresholds": (2.5,), "pools": (1,), "strides": (1,), "winners": (3,)}
    cfg = load_config("kheradpisheh2018_mnist")
    changes |= {"radii": (1,), "growth_every": 7, "max_images": 40, **images}
    return dataclasses.replace(
        cfg, images=dataclasses.replace(cfg.images, **changes), backend="cpu",
        convergence=dataclasses.replace(cfg.convergence, **{"check_interval": 5, "c_l_threshold": 0.0, **dict(convergence)}),
        stdp=dataclasses.replace(cfg.stdp, **dict(stdp)),
    )  # fmt: skip


def fresh(cfg):
    return ImageNetwork(cfg.images, cfg.stdp, seed=cfg.seed).weights[0]


def test_the_same_weights_as_a_loop_by_hand():
    """Image by image: the rates double every 7 images up to the cap, the order is a permutation for every pass."""
    cfg = settings(lr_plus_max=0.03)
    weight, other, by_reference = fresh(cfg), fresh(cfg), fresh(cfg)
    told = learn(weight, lists(), cfg, 0)
    assert told.images == 40 and told.stopped == "max_images = 40 reached"
    rng, given = np.random.default_rng((cfg.seed, 0)), lists()
    order = np.concatenate([rng.permutation(given.samples) for _ in range(4)])[:40]
    zeros = [torch.zeros(6, dtype=torch.int64) for _ in range(3)]
    state = LearningState(other, torch.full((6,), 2.5), torch.zeros(6), *zeros)
    for n, image in enumerate(order):
        rate = min(0.03, 0.004 * 2 ** (n // 7))
        rule = TrainingRule(
            mode=LeakMode.NONE, leak=0.0, base=2.5,
            plasticity=Plasticity(PlasticityForm.MULTIPLICATIVE, rate, rate * 0.003 / 0.004, 0.0, 1.0),
            wta="both", radius=1, max_winners=3, competition=None, maps=None, dead_recovery=False,
            dead_threshold=0.0, dead_warmup=1, batch_size=1,
        )  # fmt: skip
        reference.Training(state, rule).run(given, np.array([image]))
    assert torch.equal(weight, other)
    learn(by_reference, lists(), dataclasses.replace(cfg, backend="reference"), 0)
    assert torch.equal(weight, by_reference)


def test_it_stops_when_the_weights_have_decided():
    cfg = settings(lr_plus_max=0.15, max_images=5000)
    cfg = dataclasses.replace(cfg, convergence=dataclasses.replace(cfg.convergence, c_l_threshold=0.05))
    weight, shown = fresh(cfg), []
    told = learn(weight, lists(), cfg, 0, shown=shown.append)
    assert told.images < 5000 and told.images % 5 == 0 and sum(shown) == told.images
    assert told.c_l < 0.05 and told.stopped.startswith("C_l = ") and told.stopped.endswith("< 0.05")
    assert 0 <= float(weight.min()) and float(weight.max()) <= 1
    assert told.c_l == pytest.approx(float((weight.double() * (1 - weight.double())).mean()))


def test_the_seed_gives_the_order_and_options_go_before_the_configuration():
    cfg = settings()
    one, same, other, free = (fresh(cfg) for _ in range(4))
    learn(one, lists(), cfg, 0)
    learn(same, lists(), cfg, 0)
    learn(other, lists(), dataclasses.replace(cfg, seed=cfg.seed + 1), 0)
    learn(free, lists(), cfg, 0, mode="global", winners=6)
    assert torch.equal(one, same) and not torch.equal(one, other) and not torch.equal(one, free)


def test_maps_that_never_win_are_counted():
    cfg = settings(thresholds=(1000.0,))
    told = learn(fresh(cfg), lists(), cfg, 0)
    assert told.dead == 6


class Noted:
    """A Training that learns nothing and notes what it is asked for."""

    def __init__(self):
        self.rates, self.images, self.rules = [], [], []

    def Training(self, state, rule):
        self.rule = rule
        self.rules.append(rule)
        return self

    def run(self, lists, order):
        self.rates += [self.rule.plasticity.lr_plus] * len(order)
        self.images += order.tolist()
        return len(order)


@pytest.fixture
def noted(monkeypatch):
    found = Noted()
    monkeypatch.setattr(image_training, "ops_backend", lambda name, device: found)
    return found


INTERVALS = [(7, 5, 40), (5, 7, 41), (1, 3, 20), (10, 10, 30), (100, 1, 33), (3, 100, 1), (4, 9, 60)]


@pytest.mark.parametrize("growth, check, most", INTERVALS)
def test_rates_double_until_they_are_at_their_cap(noted, growth, check, most):
    """Whatever the intervals are; each pass shows every image once."""
    cfg, shown = settings(growth_every=growth, max_images=most, lr_plus_max=0.05, convergence={"check_interval": check}), []
    told = learn(fresh(cfg), lists(), cfg, 0, shown=shown.append)
    assert noted.rates == [min(0.05, 0.004 * 2 ** (n // growth)) for n in range(most)]
    assert all(rule.plasticity.lr_minus == pytest.approx(0.75 * rule.plasticity.lr_plus, rel=1e-12) for rule in noted.rules)
    assert told.images == sum(shown) == most and all(shown) and told.stopped == f"max_images = {most} reached"
    passes = [noted.images[first : first + 12] for first in range(0, most, 12)]
    assert all(sorted(one) == list(range(12)) for one in passes if len(one) == 12)
    assert all(len(set(one)) == len(one) for one in passes)
    assert len(set(map(tuple, passes))) == len(passes)


def test_the_order_is_drawn_by_seed_and_layer(noted):
    cfg = settings(maps=(6, 6), kernels=(3, 3), thresholds=(2.5, 2.5), pools=(1, 1), strides=(1, 1), winners=(3, 3), radii=(1, 1))
    for seed, layer in ((1, 0), (1, 0), (2, 0), (1, 1)):
        learn(fresh(cfg), lists(), dataclasses.replace(cfg, seed=seed), layer)
    one, same, other, above = (noted.images[first : first + 40] for first in range(0, 160, 40))
    assert one == same != other and one != above


def test_the_rule_is_that_of_the_configuration_unless_the_caller_says_otherwise(noted):
    cfg = settings(max_images=1)
    for options in ({}, {"winners": 6}, {"mode": "global"}):
        learn(fresh(cfg), lists(), cfg, 0, **options)
    assert [(rule.wta, rule.max_winners) for rule in noted.rules] == [("both", 3), ("both", 6), ("global", 3)]


def test_a_rate_above_its_cap_begins_at_it_and_a_long_training_does_not_overflow(noted):
    cfg = settings(growth_every=1, max_images=3000, lr_plus_max=0.003, convergence={"check_interval": 1000})
    learn(fresh(cfg), lists(), cfg, 0)
    assert set(noted.rates) == {0.003}


def test_weights_that_have_decided_stop_at_the_first_check(noted):
    """At the interval, not before; and at max_images if that comes first, told with the C_l there."""
    cfg = settings(convergence={"check_interval": 15, "c_l_threshold": 0.01})
    decided = torch.zeros(6, 2, 3, 3)
    assert learn(decided, lists(), cfg, 0)[:3] == (15, 0.0, "C_l = 0.0000 < 0.01")
    cfg = settings(max_images=4, convergence={"check_interval": 15, "c_l_threshold": 0.01})
    assert learn(decided, lists(), cfg, 0)[:3] == (4, 0.0, "C_l = 0.0000 < 0.01")
    assert learn(decided, lists(), settings(), 0)[:3] == (40, 0.0, "max_images = 40 reached")  # 0 is not below 0
    half = learn(decided + 0.5, lists(), cfg, 0)
    assert half[:3] == (4, 0.25, "max_images = 4 reached") and half.near_duplicates == 5


@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("low, high", [(0.0, 1.0), (0.25, 0.75), (-0.5, 1.5)])
def test_weights_stay_within_their_bounds(soft, low, high):
    stdp = {"lr_plus": 0.3, "lr_minus": 0.2, "weight_init_mean": 0.5, "weight_min": low, "weight_max": high}
    cfg = settings(stdp={**stdp, "use_soft_bounds": soft}, thresholds=(1.5,), lr_plus_max=0.9)
    weight = fresh(cfg)
    before = weight.clone()
    learn(weight, lists(), cfg, 0)
    assert not torch.equal(weight, before)
    assert low <= float(weight.min()) and float(weight.max()) <= high
    if not soft:
        assert float(weight.min()) == low or float(weight.max()) == high


def test_what_cannot_be_learned_is_refused():
    """Instead of waiting for ever for an image, or dividing by a rate of 0."""
    cfg = settings()
    with pytest.raises(InputError, match="no images to learn from"):
        learn(fresh(cfg), lists().part(0, 0), cfg, 0)
    cfg = settings(stdp={"lr_plus": 0.0})
    with pytest.raises(InputError, match=r"stdp.lr_plus: found 0, must be above 0"):
        learn(fresh(cfg), lists(), cfg, 0)


def test_the_backend_is_the_one_asked_for():
    """`cuda` does not become `cpu`; what a backend cannot run is bad input."""
    cfg = settings()
    with pytest.raises(ValueError, match="backend 'cuda' runs on a cuda device, but the network lies on 'cpu'"):
        learn(fresh(cfg), lists(), dataclasses.replace(cfg, backend="cuda"), 0)


def test_images_that_a_backend_cannot_learn_from_are_bad_input(monkeypatch):
    class Refusing(Noted):
        def run(self, lists, order):
            raise ValueError("samples of 33 steps")

    monkeypatch.setattr(image_training, "ops_backend", lambda name, device: Refusing())
    with pytest.raises(InputError, match="samples of 33 steps"):
        learn(fresh(settings()), lists(), settings(), 0)


def test_a_network_learns_layer_by_layer_and_shows_how_far_it_is():
    cfg = settings(maps=(6, 4), kernels=(3, 3), thresholds=(2.5, 2.0), pools=(1, 1), strides=(1, 1), winners=(3, 1), radii=(1, 1))
    shown = []

    @contextlib.contextmanager
    def progress(layer, images):
        shown.append((layer, images, []))
        yield shown[-1][2].append

    network, by_hand = untrained_network(cfg, lists()), untrained_network(cfg, lists())
    results = train_network(network, lists(), cfg, progress=progress)
    assert [(layer, images, sum(counts)) for layer, images, counts in shown] == [(1, 40, 40), (2, 40, 40)]
    assert network.backend == "cpu" and [result.images for result in results] == [40, 40]
    for number, inputs in enumerate(by_hand.inputs(lists())):
        learn(by_hand.weights[number], inputs, cfg, number)
    assert all(torch.equal(a, b) for a, b in zip(network.weights, by_hand.weights, strict=True))
    free = untrained_network(cfg, lists())
    train_network(free, lists(), cfg, mode="none")
    learn(
        by_hand.to("cpu").weights[0].copy_(untrained_network(cfg, lists()).weights[0]), lists(), cfg, 0, mode="global", winners=6
    )
    assert torch.equal(free.weights[0], by_hand.weights[0])
