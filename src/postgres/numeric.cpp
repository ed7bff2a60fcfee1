// Converts a numeric to a double. The server does that by printing and parsing. Short numbers, which telemetry is made of, take
// a shorter way here that gives the same bits: an integer below 2^53 that is multiplied or divided by an exact power of ten is
// rounded only once (Clinger 1990).
// This file is written wholly in P.
//
// A numeric starts with 16 bits, and the two highest of them give its form:
//
//   00  positive; the next 16 bits are the weight
//   01  negative; the next 16 bits are the weight
//   10  short; bit 13 is the sign, and the lowest 7 bits are the weight, signed
//   11  NaN or infinity
//
// Digits follow, 16 bits each, to base 10,000. The first is worth 10,000^weight.
#include "postgres/numeric.hpp"

#include "postgres/pg.hpp"

namespace postgres {
namespace {

constexpr uint64 kExactIntegers = uint64{1} << 53;
constexpr double kPowersOfTen[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr int kGreatestExactPower = 22;

struct Digits {
    const int16* first;
    int count;
    int weight;
    bool is_negative;
};

// Finds the digits of a number. False: it is NaN or an infinity.
bool read_digits(Numeric number, Digits& digits) {
    const char* bytes = VARDATA_ANY(number);
    const auto size = static_cast<int>(VARSIZE_ANY_EXHDR(number));
    uint16 header;
    memcpy(&header, bytes, sizeof header);
    int header_size = 2;
    if ((header & 0xC000) == 0xC000) return false;
    if (header & 0x8000) {
        digits.is_negative = (header & 0x2000) != 0;
        digits.weight = (header & 0x0040) != 0 ? static_cast<int>(header & 0x003F) - 64 : static_cast<int>(header & 0x003F);
    } else {
        int16 weight;
        memcpy(&weight, bytes + 2, sizeof weight);
        header_size = 4;
        digits.is_negative = (header & 0x4000) != 0;
        digits.weight = weight;
    }
    digits.first = reinterpret_cast<const int16*>(bytes + header_size);
    digits.count = (size - header_size) / 2;
    return true;
}

}  // namespace

double to_double(Numeric number) {
    Digits digits;
    if (read_digits(number, digits) && digits.count <= 4) {
        uint64 integer = 0;
        for (int i = 0; i < digits.count; ++i) {
            int16 digit;
            memcpy(&digit, digits.first + i, sizeof digit);
            integer = integer * 10000 + static_cast<uint64>(digit);
        }
        const int exponent = 4 * (digits.weight - digits.count + 1);
        if (integer == 0) return 0;
        if (integer < kExactIntegers && exponent >= -kGreatestExactPower && exponent <= kGreatestExactPower) {
            const auto exact = static_cast<double>(integer);
            const double value = exponent < 0 ? exact / kPowersOfTen[-exponent] : exact * kPowersOfTen[exponent];
            return digits.is_negative ? -value : value;
        }
    }
    return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(number)));
}

bool is_zero(Numeric number) {
    Digits digits;
    return read_digits(number, digits) && digits.count == 0;
}

}  // namespace postgres
