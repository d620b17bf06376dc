// Sixteen samples side by side: the vector types, and what is done to them lane by lane.
#pragma once

#include <cstdint>

constexpr int LANES = 16;
constexpr int TILE = 8;  // outputs of a layer computed together: enough chains to hide the latency of an FMA

typedef float V __attribute__((vector_size(4 * LANES)));
typedef int32_t I __attribute__((vector_size(4 * LANES)));

inline int round_up(int n, int unit) { return (n + unit - 1) / unit * unit; }
inline V broadcast(float x) { return x - V{}; }
inline V maximum(V a, V b) { return a > b ? a : b; }
inline V minimum(V a, V b) { return a < b ? a : b; }
inline V absolute(V a) { return a < 0 ? -a : a; }
