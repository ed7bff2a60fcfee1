// The door to Boost.JSON. In src only boost_json.cpp, which compiles it, includes headers of it besides.
#pragma once

// Otherwise the library would have a global with a destructor, which would run at the end of each process of the server. With
// this it has a local one.
#define BOOST_JSON_WEAK_CONSTINIT
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parser.hpp>
#include <boost/json/value.hpp>
