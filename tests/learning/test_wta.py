import pytest
import torch

from spikeseg.learning import WTAConfig, WTAInhibition, WTAMode


def module(mode=WTAMode.BOTH, shape=(3, 9, 9), **changes):
    settings = {"enable_homeostasis": False, "local_radius": 2, **changes}
    return WTAInhibition(config=WTAConfig(mode=mode, **settings), n_channels=shape[0], spatial_shape=shape[1:])


def scene():
    """Two spikes of map 0, one of map 1 beside the weaker of them, one of map 2 far away."""
    potentials = torch.zeros(3, 9, 9)
    potentials[0, 1, 1], potentials[0, 7, 7], potentials[1, 6, 6], potentials[2, 1, 7] = 5.0, 6.0, 5.5, 4.0
    return (potentials > 0).float(), potentials


@pytest.mark.parametrize(
    ("mode", "winners"),
    [
        (WTAMode.GLOBAL, [[0, 7, 7], [1, 6, 6], [2, 1, 7]]),
        (WTAMode.LOCAL, [[0, 1, 1], [0, 7, 7], [2, 1, 7]]),
        (WTAMode.BOTH, [[0, 7, 7], [2, 1, 7]]),
    ],
)
def test_who_wins(mode, winners):
    spikes, potentials = scene()
    filtered, mask = module(mode)(spikes, potentials)
    assert mask.dtype == torch.bool and mask.nonzero().tolist() == winners
    assert torch.equal(filtered, mask.float())


def test_a_batch_holds_independent_competitions():
    spikes, potentials = scene()
    filtered, mask = module()(torch.stack((spikes, spikes.flip(-1))), torch.stack((potentials, potentials.flip(-1))))
    assert torch.equal(mask[0], mask[1].flip(-1)) and filtered.shape == (2, 3, 9, 9)


def test_silence_has_no_winner_and_wrong_shapes_are_refused():
    wta = module()
    assert not wta(torch.zeros(3, 9, 9), torch.zeros(3, 9, 9))[1].any()
    with pytest.raises(ValueError, match=r"must both be \(3, 9, 9\)"):
        wta(torch.zeros(3, 9, 8), torch.zeros(3, 9, 8))


def test_max_winners():
    spikes, potentials = scene()
    assert int(module(WTAMode.GLOBAL, max_winners=2)(spikes, potentials)[1].sum()) == 2


def test_neurons_that_win_must_reach_more_and_the_others_less():
    wta = module(enable_homeostasis=True, threshold_min=1.0, threshold_max=2.0, homeostasis_lr=0.5, target_rate=0.2)
    spikes, potentials = scene()
    wta.thresholds.fill_(1.5)
    wta(spikes, potentials)
    assert wta.thresholds[0, 7, 7] == pytest.approx(1.9)
    assert wta.thresholds[0, 0, 0] == pytest.approx(1.4)
    for _ in range(20):
        wta(spikes, potentials)
    assert wta.thresholds.max() <= 2.0 and wta.thresholds.min() == 1.0


def test_a_neuron_below_its_own_threshold_does_not_compete():
    wta = module(enable_homeostasis=True, threshold_min=1.0, threshold_max=100.0)
    spikes, potentials = scene()
    wta.thresholds[0, 7, 7] = 6.5
    _, mask = wta(spikes, potentials)
    assert mask.nonzero().tolist() == [[0, 1, 1], [1, 6, 6], [2, 1, 7]]


def test_off_means_no_thresholds():
    wta = module(threshold_min=50.0)
    spikes, potentials = scene()
    assert wta(spikes, potentials)[1].any() and (wta.thresholds == 50).all()


def test_the_last_mask_and_what_was_counted():
    wta, (spikes, potentials) = module(), scene()
    assert wta.get_winner_mask() is None and wta.get_thresholds() is None
    _, mask = wta(spikes, potentials)
    assert wta.get_winner_mask() is mask
    wta(torch.stack((spikes, spikes)), torch.stack((potentials, potentials)))
    assert wta.statistics == {"total_spikes": 12, "total_winners": 6, "presentations": 3}
    wta.reset_statistics()
    assert set(wta.statistics.values()) == {0}
    silent = module(track_statistics=False)
    silent(spikes, potentials)
    assert set(silent.statistics.values()) == {0}


def test_thresholds_of_the_competition_by_sample():
    wta = module(enable_homeostasis=True, threshold_min=0.5)
    assert wta.get_thresholds().shape == (1, 3, 9, 9) and wta.get_thresholds(2).shape == (2, 3, 9, 9)
    assert (wta.get_thresholds() == 0.5).all()
