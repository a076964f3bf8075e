// Arrays and numbers that are attributes of Python's objects, of exactly the types asked for.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <string>

namespace fembed {

namespace nb = nanobind;

template <class T, int N>
using In = nb::ndarray<const T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
template <class T, int N>
using Out = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
using Floats = nb::ndarray<float, nb::c_contig, nb::device::cpu>;

inline void require(bool ok, const char* message) {
    if (!ok) throw nb::value_error(message);
}

template <class T>
T converted(nb::handle owner, const char* name, bool may_convert) {
    T value{};
    if (!nb::try_cast(nb::getattr(owner, name), value, may_convert)) {
        throw nb::type_error((std::string(name) + " has another type than the engine's").c_str());
    }
    return value;
}

// A wrong type is an error, never a converted copy that takes the results with it.
template <class Array>
Array array_of(nb::handle owner, const char* name) {
    return converted<Array>(owner, name, false);
}

template <class T>
T value_of(nb::handle owner, const char* name) {
    return converted<T>(owner, name, true);
}

inline bool has(nb::handle owner, const char* name) { return !owner.attr(name).is_none(); }

}  // namespace fembed
