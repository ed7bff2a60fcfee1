// The door to Boost.Beast, of which only the parser and the serializer of HTTP/1 serve: they do no I/O. No other file includes
// headers of it.
//
// An assertion that fails inside throws std::logic_error: an abort would end every session of the server.
#pragma once

#define BOOST_ENABLE_ASSERT_HANDLER

#include <stdexcept>

#include <boost/assert.hpp>

namespace boost {

inline void assertion_failed(char const* expression, char const*, char const*, long) {
    throw std::logic_error(expression);
}
inline void assertion_failed_msg(char const*, char const* message, char const*, char const*, long) {
    throw std::logic_error(message);
}

}  // namespace boost

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/string_body.hpp>
