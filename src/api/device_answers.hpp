// Answers GET /devices/{device_id}/stats natively. Clients that ask at once share a transaction and a snapshot.
#pragma once

#include <memory>
#include <string>

#include "http/request.hpp"
#include "http/response.hpp"

namespace api {

class DeviceAnswers {
public:
    DeviceAnswers();
    DeviceAnswers(const DeviceAnswers&) = delete;
    DeviceAnswers& operator=(const DeviceAnswers&) = delete;
    ~DeviceAnswers();

    // Begins a transaction where none is open. An error becomes the response, and ends the transaction.
    http::Response answer(const http::Request& request, const std::string& device_id);

    // Ends the transaction, before another one may begin. No error of its end takes the answers back.
    void close();

private:
    struct Reading;

    http::Response read(const http::Request& request, const std::string& device_id);

    std::unique_ptr<Reading> reading_;
};

}  // namespace api
