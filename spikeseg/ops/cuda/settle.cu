// CUDA C++: the second launch of training, `training_kernels.settle`, where winners inhibit by position; the same arguments and the
// same bits. Names in capitals that are not defined here are those of the Triton kernels, given when this is compiled (`native`).
//
// One block a sample. Every warp holds the best candidate of every map in registers, and finds the least of them by itself: a winner
// that strikes no other map's best costs no barrier. Struck neurons are bits in shared memory. Of the maps whose best is struck each
// is one warp's: it looks again at the tiles around the winner. What other tiles and rows hold of it may have been struck before,
// but never lies above the best that is left in them, so a best that turns out to be struck has its tile looked at again too.

typedef long long int64;
typedef unsigned long long uint64;
typedef unsigned int uint32;

constexpr int WARP = 32, WARPS = THREADS / WARP, HELD = (MAPS + WARP - 1) / WARP;
constexpr int APART = THREADS > MAPS ? THREADS / MAPS : 1, AT_ONCE = 8;  // synapses of a thread that learns
constexpr uint32 ALL = 0xffffffffu;

extern __shared__ uint64 bests[];  // of maps that looked again; behind them the bits of struck neurons, row by row

// What lies where. Key: rank, map, row, column; see `winner_kernels`.
struct Field {
    const int* ranks;     // (rows, across, NEURONS, MAPS)
    uint64 *tile_best, *row_best;
    uint32* struck;       // (height, words)
    int height, width, words, rows, across, row_bits, column_bits, radius;

    __device__ int row(uint64 key) const { return (uint32(key) >> column_bits) & ((1u << row_bits) - 1); }
    __device__ int column(uint64 key) const { return uint32(key) & ((1u << column_bits) - 1); }
    __device__ int map(uint64 key) const { return uint32(key) >> (row_bits + column_bits); }
    __device__ bool gone(int y, int x) const { return struck[y * words + x / WARP] >> (x % WARP) & 1; }
};

__device__ __forceinline__ uint64 least(uint64 key) {  // of a warp
    uint32 rank = uint32(key >> 32);
    uint32 top = __reduce_min_sync(ALL, rank);
    return uint64(top) << 32 | __reduce_min_sync(ALL, rank == top ? uint32(key) : ALL);
}

__device__ __forceinline__ uint64 lesser(uint64 a, uint64 b) { return a < b ? a : b; }

// Strike out what is near (y, x): one warp, two words of a row of neurons at a time.
__device__ __forceinline__ void strike(const Field& f, int y, int x, int lane) {
    int top = max(y - f.radius, 0), first = max(x - f.radius, 0), last = min(x + f.radius, f.width - 1);
    int row = top + lane / 2, word = first / WARP + lane % 2, rows = min(y + f.radius, f.height - 1) - top + 1;
    if (2 * f.radius < WARP / 2) {  // a step
        int low = max(first - word * WARP, 0), high = min(last - word * WARP, WARP - 1);
        if (lane / 2 < rows && high >= 0) f.struck[row * f.words + word] |= (2u << high) - (1u << low);
        return;
    }
    for (; row < top + rows; row += WARP / 2)
        for (int word = first / WARP + lane % 2; word <= last / WARP; word += 2) {
            int low = max(first - word * WARP, 0), high = min(last - word * WARP, WARP - 1);
            f.struck[row * f.words + word] |= (2u << high) - (1u << low);
        }
}

// The least key of map c in a row of tiles, of which those first..last are looked at again: one warp. Addresses stay inside, and what
// was not asked for is struck out afterwards: no jump waits for memory.
__device__ __forceinline__ uint64 best_of_row(const Field& f, int c, int row, int first, int last, int lane) {
    uint64 left = NONE;
    uint64* tiles = f.tile_best + row * f.across * MAPS + c;
#pragma unroll 1
    for (int i = lane; i < f.across + lane; i += WARP) {
        int tile = min(i, f.across - 1);
        uint64 key = tiles[tile * MAPS];
        left = lesser(left, (tile < first) | (tile > last) ? key : NONE);
    }
    int neuron = lane % NEURONS, y = row * SIDE + neuron / SIDE, bits = min(y, f.height - 1) * f.words;
    uint32 place = (c << (f.row_bits + f.column_bits)) | (y << f.column_bits);
#pragma unroll 1
    for (int tile = first; tile <= last; tile += 2) {
        int mine = min(tile + lane / NEURONS, last), x = mine * SIDE + neuron % SIDE;
        uint32 rank = f.ranks[((row * f.across + mine) * NEURONS + neuron) * MAPS + c];
        uint32 word = f.struck[bits + min(x / WARP, f.words - 1)];
        bool out = (rank == NEVER) | (word >> (x % WARP) & 1);
        uint64 key = out ? NONE : uint64(rank) << 32 | (place | x);
        left = lesser(left, key);
        uint64 one = least(lane < NEURONS ? key : NONE), other = least(lane < NEURONS ? NONE : key);
        if (lane < 2) tiles[min(tile + lane, last) * MAPS] = lane ? other : one;
    }
    left = least(left);
    if (lane == 0) f.row_best[row * MAPS + c] = left;
    return left;
}

// The winners of a sample; their k-th of map m is winners[k * MAPS + m].
__device__ __forceinline__ void select(const Field& f, uint64* winners, int* won, int limit, bool by_map) {
    constexpr int AWAY = -(1 << 29);  // row of what is near nothing
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    uint64 best[HELD];
    int count[HELD], ys[HELD], xs[HELD];
#pragma unroll
    for (int i = 0; i < HELD; ++i) best[i] = NONE, count[i] = 0;
#pragma unroll 4
    for (int row = 0; row < f.rows; ++row)
#pragma unroll
        for (int i = 0; i < HELD; ++i)
            if (i * WARP + lane < MAPS) best[i] = lesser(best[i], f.row_best[row * MAPS + i * WARP + lane]);
#pragma unroll
    for (int i = 0; i < HELD; ++i) ys[i] = best[i] == NONE ? AWAY : f.row(best[i]), xs[i] = f.column(best[i]);
    for (int i = threadIdx.x; i < f.height * f.words; i += THREADS) f.struck[i] = 0;
    for (int i = threadIdx.x; i < 2 * MAPS; i += THREADS) bests[i] = NONE;
    int now = 0;  // which half of `bests` takes what is found, while the other one is reset
    __syncthreads();
    for (int n = 0; n < limit; ++n) {
        uint64 top = best[0];
#pragma unroll
        for (int i = 1; i < HELD; ++i) top = lesser(top, best[i]);
        top = least(top);
        if (top == NONE) break;
        int y = f.row(top), x = f.column(top), m = f.map(top), radius = f.radius;
        uint32 again[HELD], any = 0;
#pragma unroll
        for (int i = 0; i < HELD; ++i) {
            bool wins = i * WARP + lane == m;
            if (wins & (warp == 0)) winners[count[i] * MAPS + m] = top;
            count[i] += wins;
            bool over = wins & by_map;
            best[i] = over ? NONE : best[i], ys[i] = over ? AWAY : ys[i];
            again[i] = __ballot_sync(ALL, max(abs(ys[i] - y), abs(xs[i] - x)) <= radius);
            any |= again[i];
        }
        if (warp == WARPS - 1) strike(f, y, x, lane);
        while (any) {
            __syncthreads();  // what is struck is known, and what was found last has been read
            now ^= MAPS;
#pragma unroll
            for (int i = 0; i < MAPS; i += THREADS)
                if (i + threadIdx.x < MAPS) bests[(now ^ MAPS) + i + threadIdx.x] = NONE;
            // a job: a row of tiles of a map, or its other rows
            int near = max(radius, 0), parts = radius < 0 ? 2 : min(y + near, f.height - 1) / SIDE - max(y - near, 0) / SIDE + 2;
            int begin = 0;
#pragma unroll
            for (int i = 0; i < HELD; ++i) {
                int jobs = __popc(again[i]) * parts;
                int job = warp - begin;
                if (job < 0) job += WARPS;
#pragma unroll 1
                for (; job < jobs; job += WARPS) {
                    uint32 some = again[i];
                    int part = job;
#pragma unroll 1
                    for (; part >= parts; part -= parts) some &= some - 1;
                    int at = WARP - 1 - __clz(some & -some), c = i * WARP + at;
                    int cy = radius < 0 ? __shfl_sync(ALL, ys[i], at) : y, cx = radius < 0 ? __shfl_sync(ALL, xs[i], at) : x;
                    int upper = max(cy - near, 0) / SIDE, row = upper + part;
                    uint64 key = NONE;
                    if (part + 1 < parts)
                        key = best_of_row(f, c, row, max(cx - near, 0) / SIDE, min(cx + near, f.width - 1) / SIDE, lane);
                    else {
#pragma unroll 1
                        for (int other = lane; other < f.rows + lane; other += WARP) {
                            int inside = min(other, f.rows - 1);
                            uint64 of_row = f.row_best[inside * MAPS + c];
                            key = lesser(key, (inside < upper) | (inside >= row) ? of_row : NONE);
                        }
                        key = least(key);
                    }
                    if (lane == 0) atomicMin(bests + now + c, key);
                }
                begin = (begin + jobs) & (WARPS - 1);
            }
            __syncthreads();  // new bests are known
            any = 0;
            radius = -1;
#pragma unroll
            for (int i = 0; i < HELD; ++i) {
                bool looked = again[i] >> lane & 1;
                uint64 key = bests[now + i * WARP + lane];
                best[i] = looked ? key : best[i];
                bool none = best[i] == NONE;
                int inside = none ? 0 : f.row(best[i]);
                xs[i] = none ? 0 : f.column(best[i]);
                ys[i] = none ? AWAY : inside;
                bool gone = looked & !none & f.gone(inside, xs[i]);
                again[i] = __ballot_sync(ALL, gone);
                any |= again[i];
            }
        }
    }
    __syncthreads();  // all have read what is now reset
    for (int i = threadIdx.x; i < f.rows * MAPS; i += THREADS) f.row_best[i] = NONE;
    if (warp == 0)
#pragma unroll
        for (int i = 0; i < HELD; ++i)
            if (i * WARP + lane < MAPS) won[i * WARP + lane] = count[i];
    __syncthreads();
}

__device__ __forceinline__ int to_units(float value) { return __float2int_rn(__fmul_rn(value, float(UNITS))); }

// A weight after STDP.
__device__ __forceinline__ float changed(float w, bool early, const float* numbers, int form) {
    float rate = early ? numbers[LR_PLUS] : -numbers[LR_MINUS];
    float change = form == MULTIPLICATIVE_RULE ? __fmul_rn(rate, __fmul_rn(w, __fsub_rn(1.0f, w))) : rate;
    return fminf(fmaxf(__fadd_rn(w, change), numbers[WEIGHT_MIN]), numbers[WEIGHT_MAX]);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) settle(
    const int* words, const int* taps, float* master, int* table, int* levels, const int* ranks, int64* tile_best, int64* row_best,
    int64* all_winners, int* all_won, int64* cursor, int slot, const float* numbers, float* threshold, float* theta, int64* wins,
    int64* recent_wins, int64* seen, int sample_size, int width_padded, int maps, int height, int width, int rows, int across,
    int row_bits, int column_bits, int radius, int limit, int most, int samples, int synapses, int dead_warmup, int batch_size,
    int by_map, int form, int map_rule, int recovery, int selects, int learns) {
    int64 begin = cursor[BASE] + slot, end = cursor[END];
    if (selects) {
        int64 s = blockIdx.x, position = begin + s, tiles = s * rows * across * MAPS;
        if (position < 0 || position >= end || position > cursor[HALT]) return;
        Field field = {
            ranks + tiles * NEURONS, reinterpret_cast<uint64*>(tile_best + tiles),
            reinterpret_cast<uint64*>(row_best + s * rows * MAPS), reinterpret_cast<uint32*>(bests + 2 * MAPS), height, width,
            (width + WARP - 1) / WARP, rows, across, row_bits, column_bits, radius};
        select(field, reinterpret_cast<uint64*>(all_winners + s * most * MAPS), all_won + s * MAPS, limit, by_map);
    }
    for (int i = 0; learns && i < samples; ++i) {
        int64 position = begin + i;
        if (position < 0 || position >= end || position > cursor[HALT]) continue;
        const int* sample = words + int64(slot + i) * sample_size;
        const int64* winners = all_winners + int64(i) * most * MAPS;
        const int* won = all_won + i * MAPS;
        bool ends = (position + 1 + cursor[PHASE]) % batch_size == 0;
        if (form != CUSTOM_RULE) {
            int many = 0;
            for (int c = threadIdx.x % WARP; c < MAPS; c += WARP) many = max(many, won[c]);
            many = __reduce_max_sync(ALL, many);
            for (int k = 0; k < many; ++k) {
                for (int c = threadIdx.x % MAPS; c < MAPS; c += THREADS) {
                    if (k >= won[c]) continue;
                    int64 key = winners[k * MAPS + c];
                    int t = int(key >> (32 + HEIGHT_BITS));
                    int y = int(key >> column_bits) & ((1 << row_bits) - 1), x = int(key) & ((1 << column_bits) - 1);
                    const int* origin = sample + (y * width_padded + x);
                    for (int j = threadIdx.x / MAPS; j < synapses; j += AT_ONCE * APART) {
                        int bits[AT_ONCE];
                        float w[AT_ONCE];
#pragma unroll
                        for (int i = 0; i < AT_ONCE; ++i)
                            if (j + i * APART < synapses)
                                bits[i] = origin[taps[j + i * APART]], w[i] = master[(j + i * APART) * MAPS + c];
#pragma unroll
                        for (int i = 0; i < AT_ONCE; ++i)
                            if (j + i * APART < synapses) {
                                bool early = uint32(bits[i]) << (31 - t) != 0;  // any step up to t
                                w[i] = changed(w[i], early, numbers, form);
                                master[(j + i * APART) * MAPS + c] = w[i];
                                if (batch_size == 1) table[(j + i * APART) * MAPS + c] = to_units(w[i]);
                            }
                    }
                }
                __syncthreads();  // a map's next winner reads what other threads have written
            }
            if (ends && batch_size > 1)
                for (int at = threadIdx.x; at < synapses * MAPS; at += THREADS) table[at] = to_units(master[at]);
        }
        for (int c = threadIdx.x; c < maps; c += THREADS) {
            int64 recent = recent_wins[c] + won[c], learned = seen[c] + 1;
            float adapted = theta[c];
            if (map_rule) {
                float raised = __fadd_rn(adapted, __fmul_rn(numbers[PLUS], float(won[c])));
                float decayed = __fsub_rn(raised, __fdiv_rn(__fsub_rn(raised, numbers[REST]), numbers[TAU]));
                adapted = fminf(fmaxf(decayed, numbers[REST]), numbers[THETA_MAX]);
            }
            float level = __fadd_rn(numbers[FIRST_BASE], adapted);
            wins[c] += won[c];
            recent_wins[c] = recent;
            seen[c] = learned;
            theta[c] = adapted;
            threshold[c] = level;
            if (ends) levels[c] = to_units(level);
            if (recovery && learned >= dead_warmup && float(recent) < __fmul_rn(numbers[DEAD], float(learned)))
                cursor[HALT] = position;
        }
        __syncthreads();  // the next sample of the batch goes on from all this
    }
}
