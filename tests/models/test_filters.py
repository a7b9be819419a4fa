import numpy as np
import pytest
import torch

from spikeseg.models.filters import dog_bank, dog_kernel, edge_bank, gabor_bank, gabor_kernel, pyramid


@pytest.mark.parametrize("bank", [dog_bank, gabor_bank])
@pytest.mark.parametrize(("maps", "channels", "size"), [(4, 2, 5), (4, 1, 7), (6, 2, 7)])
def test_filters_have_zero_mean_and_a_positive_part_of_one(bank, maps, channels, size):
    kernels = bank(maps, channels, size).flatten(0, 1)
    used = kernels[kernels.abs().flatten(1).any(1)]
    assert torch.allclose(used.sum((1, 2)), torch.zeros(len(used)), atol=1e-6)
    assert torch.allclose(used.clamp(min=0).sum((1, 2)), torch.ones(len(used)), atol=1e-6)


@pytest.mark.parametrize("bank", [dog_bank, gabor_bank])
def test_no_filter_comes_twice(bank):
    flat = bank(4, 2, 5).flatten(1)
    distances = torch.cdist(flat, flat) + torch.eye(4)
    assert distances.min() > 0.1


def test_dog_centres_look_at_their_own_polarity():
    bank = dog_bank(4, 2, 5)
    assert bank[0, 1].abs().sum() == 0 and bank[0, 0, 2, 2] > 0  # OFF centre on the OFF channel
    assert bank[1, 0].abs().sum() == 0 and bank[1, 1, 2, 2] > 0
    assert bank[0, 0, 2, 2] > bank[2, 0, 2, 2] > 0  # the larger scale is flatter


def test_one_channel_dog_has_opposite_signs():
    bank = dog_bank(2, 1, 7)
    assert bank[1, 0, 3, 3] > 0 > bank[0, 0, 3, 3]


def test_dog_is_round():
    kernel = dog_kernel(7, 0.7)
    assert torch.allclose(kernel, kernel.T) and torch.allclose(kernel, kernel.flip(0))


def test_gabor_orientations_are_0_45_90_135_degrees():
    bank = gabor_bank(4, 1, 5)[:, 0]
    assert bank[0][2].sum() > 0 > bank[0][:, 2].sum() - bank[0][2, 2] * 1.5  # 0: a horizontal bar
    assert torch.allclose(bank[2], bank[0].T, atol=1e-6)  # 90: a vertical one
    assert torch.allclose(bank[3], bank[1].flip(1), atol=1e-6)
    assert bank[1][0, 0] > bank[1][0, 4]  # 45 in image coordinates: down to the right


def scaled(kernel):
    """Zero mean, positive part of one."""
    kernel = kernel - kernel.mean()
    return kernel / kernel[kernel > 0].sum()


AXIS = np.arange(-2, 3)


@pytest.mark.parametrize(("scale", "sigma"), [(0, 0.75), (1, 1.5)])
def test_a_dog_of_5x5_has_centres_of_075_and_15_px_and_surrounds_twice_as_wide(scale, sigma):
    squared = AXIS[:, None] ** 2 + AXIS**2
    centre, surround = (np.exp(-squared / (2 * s**2)) / s**2 for s in (sigma, 2 * sigma))
    bank = dog_bank(4, 2, 5).double().numpy()
    for polarity in (0, 1):
        np.testing.assert_allclose(bank[2 * scale + polarity, polarity], scaled(centre - surround), atol=1e-7)


def test_a_gabor_of_5x5_has_a_wavelength_of_5_px_an_envelope_of_125_px_and_an_aspect_of_a_half():
    across = np.exp(-(AXIS**2) / (2 * 1.25**2)) * np.cos(2 * np.pi * AXIS / 5)
    along = np.exp(-((0.5 * AXIS) ** 2) / (2 * 1.25**2))
    np.testing.assert_allclose(gabor_kernel(5, 0.0).numpy(), scaled(across[:, None] * along), atol=1e-12)
    np.testing.assert_allclose(gabor_bank(4, 2, 5)[2, 1].numpy(), scaled(along[:, None] * across), atol=1e-7)


def test_the_filters_by_value():
    dog, gabor = dog_bank(4, 2, 5), gabor_bank(4, 1, 5)
    torch.testing.assert_close(dog[0, 0, 2], torch.tensor([-0.0666990, 0.1268262, 0.4926952, 0.1268262, -0.0666990]))
    torch.testing.assert_close(gabor[0, 0, :, 2], torch.tensor([-0.1076040, 0.0142784, 0.2246650, 0.0142784, -0.1076040]))


@pytest.mark.parametrize("bank", [dog_bank, gabor_bank])
def test_a_pyramid_holds_the_bank_at_each_scale(bank):
    assert torch.equal(pyramid(bank, 4, 2, 5, [1]), bank(4, 2, 5))
    filters = pyramid(bank, 4, 2, 5, [1, 2, 4])
    assert filters.shape == (12, 2, 17, 17) and filters.dtype == torch.float32
    assert torch.equal(filters[:4, :, 6:11, 6:11], bank(4, 2, 5)) and torch.equal(filters[4:8, :, 4:13, 4:13], 2 * bank(4, 2, 9))
    inside = filters.clone()
    inside[:4, :, 6:11, 6:11] = inside[4:8, :, 4:13, 4:13] = inside[8:] = 0
    assert not inside.any()
    used = filters.flatten(2)[filters.flatten(2).any(2)]
    assert torch.allclose(used.sum(1), torch.zeros(len(used)), atol=1e-5)
    scale = torch.tensor([1.0, 2.0, 4.0]).repeat_interleave(len(used) // 3)
    assert torch.allclose(used.clamp(min=0).sum(1), scale, atol=1e-5)


def test_noise_drives_every_scale_of_a_pyramid_alike_and_a_blob_that_of_its_size_most():
    filters = pyramid(dog_bank, 2, 2, 5, [1, 2, 4])
    norms = filters.flatten(1).norm(dim=1)
    assert norms.max() < 1.2 * norms.min()
    for scale, radius in enumerate((0.9, 1.8, 3.6)):
        axis = torch.arange(17) - 8
        blob = ((axis[:, None] ** 2 + axis**2) <= radius**2).float()
        response = (filters * blob).sum((1, 2, 3))[::2] / blob.sum().sqrt()
        assert int(response.argmax()) == scale


def test_no_filter_of_an_edge_bank_lies_along_rows_or_columns():
    bank = edge_bank((3, 7), 4)
    assert bank.shape == (8, 7, 7) and not bank[:4, :2].any() and not bank[:4, :, -2:].any()
    for at, size in ((0, 3), (4, 7)):
        pad = (7 - size) // 2
        for m, degrees in enumerate((22.5, 67.5, 112.5, 157.5)):
            torch.testing.assert_close(bank[at + m, pad : 7 - pad, pad : 7 - pad], gabor_kernel(size, degrees))
