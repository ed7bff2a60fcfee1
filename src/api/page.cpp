// Reads the page from the server's folder of extensions, and packs it.
#include "api/page.hpp"

#include <fstream>
#include <iterator>
#include <string>

#include "http/gzip.hpp"
#include "http/problem.hpp"
#include "http/validators.hpp"

#include "postgres/pg.hpp"

namespace api {
namespace {

struct Page {
    std::string plain, packed;
};

std::string read_file() {
    char share[MAXPGPATH];
    get_share_path(my_exec_path, share);
    std::ifstream in(std::string(share) + "/extension/telemetry_cqrs.page.html", std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

const Page& the_page() {
    static const auto* const kPage = [] {
        auto* read = new Page{read_file(), {}};
        read->packed = http::pack(read->plain);
        return read;
    }();
    return *kPage;
}

}  // namespace

http::Response page(const http::Request& request) {
    const Page& found = the_page();
    if (found.plain.empty()) return http::response_of({.status = 404, .detail = "The page is not installed."});
    http::Response response;
    response.content_type = "text/html; charset=utf-8";
    response.body = request.accepts_gzip ? found.packed : found.plain;
    http::add_validators(response, request, std::nullopt);
    if (request.accepts_gzip && response.status == 200) response.with("Content-Encoding", "gzip");
    response.with("Vary", "Accept-Encoding")
        .with("Referrer-Policy", "no-referrer")
        .with("Content-Security-Policy", "frame-ancestors 'none'");
    return response;
}

}  // namespace api
