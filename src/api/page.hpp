// The page for people: a file that is installed beside the extension's script.
#pragma once

#include "http/request.hpp"
#include "http/response.hpp"

namespace api {

// 404 where the file is not installed. Reads the file once.
http::Response page(const http::Request& request);

}  // namespace api
