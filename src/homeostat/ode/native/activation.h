// Activations and their slopes, within a few ulp of torch for every float; NaN stays NaN.
#pragma once

#include <cstring>

#include "lanes.h"

// Codes shared with chain.py.
enum Activation { IDENTITY = 0, TANH = 1, SIGMOID = 2, RELU = 3, SOFTPLUS = 4, ELU = 5, SILU = 6 };

// The bound comes first, so that a comparison with NaN keeps the NaN.
inline V clamp(float low, float high, V x) { return minimum(broadcast(high), maximum(broadcast(low), x)); }

// Rational minimax approximation of degree 13 over 6 (as in Eigen), which ends at `limit`, four floats below one.
// The last steps up to one follow a line. Dividing first keeps the smallest numbers.
inline V tanh_of(V x) {
    const float limit = 7.90531110763549805f;
    const V z = clamp(-limit, limit, x);
    const V s = z * z;
    V p = s * -2.76076847742355e-16f + 2.00018790482477e-13f;
    p = p * s - 8.60467152213735e-11f;
    p = p * s + 5.12229709037114e-08f;
    p = p * s + 1.48572235717979e-05f;
    p = p * s + 6.37261928875436e-04f;
    p = p * s + 4.89352455891786e-03f;
    V q = s * 1.19825839466702e-06f + 1.18534705686654e-04f;
    q = q * s + 2.26843463243900e-03f;
    q = q * s + 4.89352518554385e-03f;
    return clamp(-1.0f, 1.0f, z * (p / q) + (x - z) * 3.5e-7f);
}

// exp(x) = 2^n (1 + e), with n whole and e = expm1(r), |r| <= log(2) / 2: the polynomial of Cephes' expf.
struct Parts {
    V e, n;
};

inline Parts split_exp(V x) {
    const float round = 12582912.0f;  // 1.5 * 2^23: adding it leaves no digits after the point
    const V n = x * 1.44269504088896341f + round - round;
    const V r = x - n * 0.693359375f + n * 2.12194440e-4f;
    V p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return {p * (r * r) + r, n};
}

inline V power_of_two(I n) {
    const I bits = (n + 127) << 23;
    V power;
    std::memcpy(&power, &bits, sizeof(V));
    return power;
}

// In two factors, so that the result may be subnormal, or infinite.
inline V exp_of(V x) {
    const Parts parts = split_exp(clamp(-104.0f, 89.0f, x));
    const I n = __builtin_convertvector(parts.n, I), half = n >> 1;
    const V y = (parts.e + 1.0f) * power_of_two(half) * power_of_two(n - half);
    return x != x ? x : y;
}

// exp(x) - 1 of x <= 0, exact where x is small.
inline V expm1_of(V x) {
    const Parts parts = split_exp(clamp(-30.0f, 0.0f, x));
    const V scale = power_of_two(__builtin_convertvector(parts.n, I));
    const V y = parts.e * scale + (scale - 1.0f);
    return x != x ? x : y;
}

// log(1 + u) for u in [0, 1], as 2 artanh(u / (2 + u)), whose argument is at most 1/3.
inline V log1p_of(V u) {
    const V s = u / (u + 2.0f), q = s * s;
    V p = q * (1.0f / 15) + 1.0f / 13;
    p = p * q + 1.0f / 11;
    p = p * q + 1.0f / 9;
    p = p * q + 1.0f / 7;
    p = p * q + 1.0f / 5;
    p = p * q + 1.0f / 3;
    return (p * q + 1.0f) * s * 2.0f;
}

inline V sigmoid_of(V z) { return 1.0f / (exp_of(-z) + 1.0f); }

inline V relu_of(V z) { return maximum(V{}, z); }

inline V activate(V z, int kind) {
    switch (kind) {
        case TANH: return tanh_of(z);
        case SIGMOID: return sigmoid_of(z);
        case RELU: return relu_of(z);
        case SOFTPLUS: return relu_of(z) + log1p_of(exp_of(-absolute(z)));
        case ELU: return z > 0 ? z : expm1_of(z);
        case SILU: return z / (exp_of(-z) + 1.0f);
        default: return z;
    }
}

// Activations whose slope is not told by their output: it rounds to a limit that the slope still approaches.
inline bool slope_needs_input(int kind) { return kind == ELU || kind == SILU; }

// Derivative of the activation, from its output `a`; where that does not tell, from its input `z`.
inline V slope_of(V a, V z, int kind) {
    switch (kind) {
        case TANH: return 1.0f - a * a;
        case SIGMOID: return a * (1.0f - a);
        case RELU: return a > 0 ? broadcast(1.0f) : V{};
        case SOFTPLUS: return -expm1_of(-a);
        case ELU: return z > 0 ? broadcast(1.0f) : exp_of(z);
        case SILU: {
            const V s = sigmoid_of(z);
            return s * (1.0f + z * (1.0f - s));
        }
        default: return broadcast(1.0f);
    }
}
