"""The training step once more, neuron by neuron in Python integers, from the design's text: slow, and shares no code."""

import numpy as np

F = np.float32


def units(value):
    """Rounded to the grid, half to even, in its units."""
    return int(np.rint(np.float64(value) * 4096))


def membrane(v, current, mode, leak):
    """Pre-reset potential in units; leak as the layer holds it."""
    if mode == "subtractive":
        return max(v + current - units(leak), 0)
    if mode == "multiplicative":
        product, half = v * units(leak), 2048
        below, rest = divmod(product, 4096)
        return below + (rest > half or (rest == half and below % 2 == 1)) + current
    return v + current


def inputs_of(spikes, y, x, kernel):
    """What a neuron sees of (C, H, W): (C, K, K), padded with zeros."""
    half = kernel // 2
    padded = np.pad(spikes, ((0, 0), (half, half), (half, half)))
    return padded[:, y : y + kernel, x : x + kernel]


def run(spikes, weight, threshold, mode, leak):
    """spikes (T, C, H, W) -> fired bool and potentials int64, both (T, M, H, W)."""
    steps, _, height, width = spikes.shape
    rounded = np.rint(weight.astype(np.float64) * 4096).astype(np.int64)
    fired = np.zeros((steps, len(weight), height, width), bool)
    potentials = np.zeros(fired.shape, np.int64)
    for m in range(len(weight)):
        for y in range(height):
            for x in range(width):
                v = 0
                for t in range(steps):
                    current = int((inputs_of(spikes[t], y, x, weight.shape[-1]).astype(np.int64) * rounded[m]).sum())
                    u = membrane(v, current, mode, leak)
                    potentials[t, m, y, x] = u
                    fired[t, m, y, x] = u >= units(threshold[m])
                    v = 0 if fired[t, m, y, x] else u
    return fired, potentials


def first_steps(spikes):
    """Step of each first spike, T where none."""
    return np.where(spikes.any(0), spikes.argmax(0), len(spikes))


def winners_of(fired, potentials, wta, radius, limit, competing=None):
    """Rows (step, map, row, column), in the order in which they win."""
    first = first_steps(fired)
    left = []
    for (m, y, x), t in np.ndenumerate(first):
        if t < len(fired) and (competing is None or F(potentials[t, m, y, x]) / F(4096) >= competing[m, y, x]):
            left.append((int(t), -int(potentials[t, m, y, x]), m, y, x))
    left.sort()
    winners = []
    while left and (limit is None or len(winners) < limit):
        t, _, m, y, x = left.pop(0)
        winners.append((t, m, y, x))
        if wta in ("global", "both"):
            left = [c for c in left if c[2] != m]
        if wta in ("local", "both"):
            left = [c for c in left if max(abs(c[3] - y), abs(c[4] - x)) > radius]
    return winners


def learn(weight, spikes, winners, rule):
    """STDP in place; float32."""
    silent_late = np.where(first_steps(spikes) < len(spikes), first_steps(spikes), 10**6)
    for t, m, y, x in winners:
        half = weight.shape[-1] // 2
        padded = np.pad(silent_late, ((0, 0), (half, half), (half, half)), constant_values=10**6)
        early = padded[:, y : y + weight.shape[-1], x : x + weight.shape[-1]] <= t
        rate = np.where(early, F(rule.plasticity.lr_plus), F(-rule.plasticity.lr_minus)).astype(F)
        w = weight[m]
        w = w + rate * (w * (F(1) - w)) if rule.plasticity.form.name == "MULTIPLICATIVE" else w + rate
        weight[m] = np.minimum(np.maximum(w, F(rule.plasticity.weight_min)), F(rule.plasticity.weight_max))


def train(samples, weight, rule, theta):
    """Samples (T, C, H, W) one by one; -> weight, threshold, theta, wins, competition."""
    weight, theta = weight.copy(), theta.copy()
    wins = np.zeros(len(weight), np.int64)
    competing = None
    if rule.competition is not None:
        competing = np.full((len(weight), *samples[0].shape[-2:]), rule.competition.low, F)
    threshold = F(rule.base) + theta
    for spikes in samples:
        fired, potentials = run(spikes, weight, threshold, rule.mode.value, rule.leak)
        winners = winners_of(fired, potentials, rule.wta, rule.radius, rule.max_winners, competing)
        learn(weight, spikes, winners, rule)
        won = np.zeros(len(weight), np.int64)
        for _, m, _, _ in winners:
            won[m] += 1
        wins += won
        if rule.maps is not None:
            rest, plus, tau, top = (F(number) for number in rule.maps)
            raised = theta + plus * won.astype(F)
            theta = np.clip(raised - (raised - rest) / tau, rest, top).astype(F)
        if competing is not None:
            target, lr, low, high = (F(number) for number in rule.competition)
            rate = np.zeros_like(competing)
            for _, m, y, x in winners:
                rate[m, y, x] = F(1)
            competing = np.clip(competing + lr * (rate - target), low, high).astype(F)
        threshold = F(rule.base) + theta
    return weight, threshold, theta, wins, competing
