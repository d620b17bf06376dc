// Activations and their slopes, accurate to a few ulp; NaN stays NaN.
#pragma once

#include <cstring>

#include "lanes.h"

// Codes shared with chain.py.
enum Activation { IDENTITY = 0, TANH = 1, SIGMOID = 2, RELU = 3, SOFTPLUS = 4, ELU = 5, SILU = 6 };

// Rational minimax approximation of degree 13 over 6; relative error of a few ulp, exact saturation.
inline V tanh_of(V x) {
    const float limit = 7.90531110763549805f;
    V z = minimum(maximum(x, broadcast(-limit)), broadcast(limit));
    V s = z * z;
    V p = s * -2.76076847742355e-16f + 2.00018790482477e-13f;
    p = p * s - 8.60467152213735e-11f;
    p = p * s + 5.12229709037114e-08f;
    p = p * s + 1.48572235717979e-05f;
    p = p * s + 6.37261928875436e-04f;
    p = p * s + 4.89352455891786e-03f;
    V q = s * 1.19825839466702e-06f + 1.18534705686654e-04f;
    q = q * s + 2.26843463243900e-03f;
    q = q * s + 4.89352518554385e-03f;
    V y = z * p / q;
    return x != x ? x : y;  // the clamp would hide a NaN
}

// Cephes' expf: split off a power of two, then a polynomial of degree 6.
inline V exp_of(V x) {
    V z = minimum(maximum(x, broadcast(-87.0f)), broadcast(88.0f));
    const V scaled = z * 1.44269504088896341f;
    const I power = __builtin_convertvector(scaled + (scaled < 0 ? broadcast(-0.5f) : broadcast(0.5f)), I);
    const V n = __builtin_convertvector(power, V);
    const V r = z - n * 0.693359375f + n * 2.12194440e-4f;
    V p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    const I bits = (power + 127) << 23;
    V two_to_n;
    std::memcpy(&two_to_n, &bits, sizeof(V));
    const V y = (p * r * r + r + 1.0f) * two_to_n;
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

inline V sigmoid_of(V z) { return tanh_of(z * 0.5f) * 0.5f + 0.5f; }

inline V activate(V z, int kind) {
    switch (kind) {
        case TANH: return tanh_of(z);
        case SIGMOID: return sigmoid_of(z);
        case RELU: return z > 0 ? z : (z != z ? z : V{});
        case SOFTPLUS: return (z > 0 ? z : (z != z ? z : V{})) + log1p_of(exp_of(-absolute(z)));
        case ELU: return z > 0 ? z : exp_of(z) - 1.0f;
        case SILU: return z * sigmoid_of(z);
        default: return z;
    }
}

// Derivative of the activation, from its output `a`; where that does not tell, from its input `z`.
inline V slope_of(V a, V z, int kind) {
    switch (kind) {
        case TANH: return 1.0f - a * a;
        case SIGMOID: return a * (1.0f - a);
        case RELU: return a > 0 ? broadcast(1.0f) : V{};
        case SOFTPLUS: return 1.0f - exp_of(-a);
        case ELU: return a > 0 ? broadcast(1.0f) : a + 1.0f;
        case SILU: {
            const V s = sigmoid_of(z);
            return s * (1.0f + z * (1.0f - s));
        }
        default: return broadcast(1.0f);
    }
}
