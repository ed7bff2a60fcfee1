// The door to Boost.Beast, of which only the parser and the serializer of HTTP/1 serve: they do no I/O. No other file includes
// headers of it.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/string_body.hpp>
