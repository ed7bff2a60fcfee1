// Compiles Boost.JSON, so that nothing has to be linked or installed where the extension runs. No other source does so.
#include "model/boost_json.hpp"

#include <boost/json/src.hpp>
