// A libpq connection and its results for our own client programs. Destructors close them, and errors are exceptions with their
// SQLSTATE.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <libpq-fe.h>

namespace client {

class ServerError : public std::runtime_error {
public:
    ServerError(std::string sqlstate, const std::string& message)
        : std::runtime_error(message), sqlstate_(std::move(sqlstate)) {}
    const std::string& sqlstate() const { return sqlstate_; }

private:
    std::string sqlstate_;  // empty where the connection failed
};

class Result {
public:
    explicit Result(PGresult* result) : result_(result, &PQclear) {}

    int rows() const { return PQntuples(result_.get()); }
    bool is_null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
    std::string_view text(int row, int column) const {
        return {PQgetvalue(result_.get(), row, column), static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
    }
    // Returns 0 for NULL.
    std::int64_t integer(int row, int column) const {
        return is_null(row, column) ? 0 : std::stoll(std::string(text(row, column)));
    }
    double number(int row, int column) const { return is_null(row, column) ? 0.0 : std::stod(std::string(text(row, column))); }
    // Returns the number of rows that the command changed.
    std::int64_t changed() const { return std::atoll(PQcmdTuples(result_.get())); }
    PGresult* get() const { return result_.get(); }

private:
    std::unique_ptr<PGresult, decltype(&PQclear)> result_;
};

// A parameter of a prepared statement; the bytes must outlive the call.
struct Parameter {
    std::string_view bytes;
    bool null = false;
    bool binary = false;
};

struct Notification {
    std::string channel;
    std::string payload;
};

class Connection {
public:
    // conninfo is that of libpq; "" means the PG* variables.
    explicit Connection(const std::string& conninfo) : connection_(PQconnectdb(conninfo.c_str()), &PQfinish) {
        if (PQstatus(connection_.get()) != CONNECTION_OK) throw ServerError("", PQerrorMessage(connection_.get()));
        PQsetNoticeProcessor(
            connection_.get(), [](void*, const char*) {}, nullptr);
    }

    Result run(const std::string& sql) { return checked(PQexec(connection_.get(), sql.c_str())); }

    std::int64_t run_integer(const std::string& sql) { return run(sql).integer(0, 0); }
    std::string run_text(const std::string& sql) { return std::string(run(sql).text(0, 0)); }

    void prepare(const std::string& name, const std::string& sql) {
        checked(PQprepare(connection_.get(), name.c_str(), sql.c_str(), 0, nullptr));
    }

    // Results come as text.
    Result run_prepared(const std::string& name, const std::vector<Parameter>& parameters) {
        values_.clear();
        lengths_.clear();
        formats_.clear();
        for (const Parameter& p : parameters) {
            values_.push_back(p.null ? nullptr : p.bytes.data());
            lengths_.push_back(static_cast<int>(p.bytes.size()));
            formats_.push_back(p.binary ? 1 : 0);
        }
        return checked(PQexecPrepared(connection_.get(), name.c_str(), static_cast<int>(parameters.size()), values_.data(),
                                      lengths_.data(), formats_.data(), 0));
    }

    // Runs COPY ... FROM STDIN with these bytes; returns the number of rows that the server reports.
    std::int64_t copy_in(const std::string& sql, std::string_view bytes) {
        Result started(PQexec(connection_.get(), sql.c_str()));
        if (PQresultStatus(started.get()) != PGRES_COPY_IN) raise(started.get());
        // The server takes a message as a whole, so it begins with the rows of a long COPY while the client sends the rest.
        constexpr std::size_t kMessage = 1 << 20;
        int sent = 1;
        for (std::size_t done = 0; done < bytes.size() && sent == 1; done += kMessage) {
            const std::string_view message = bytes.substr(done, kMessage);
            sent = PQputCopyData(connection_.get(), message.data(), static_cast<int>(message.size()));
        }
        if (sent != 1 || PQputCopyEnd(connection_.get(), nullptr) != 1)
            throw ServerError("", PQerrorMessage(connection_.get()));
        Result done = checked(PQgetResult(connection_.get()));
        while (PGresult* more = PQgetResult(connection_.get())) PQclear(more);
        return std::stoll(PQcmdTuples(done.get()));
    }

    // Returns the notifications that arrived since the last look. Does not wait.
    std::vector<Notification> notifications() {
        std::vector<Notification> found;
        PQconsumeInput(connection_.get());
        while (PGnotify* n = PQnotifies(connection_.get())) {
            found.push_back({n->relname, n->extra});
            PQfreemem(n);
        }
        return found;
    }

    int socket() const { return PQsocket(connection_.get()); }

private:
    Result checked(PGresult* raw) {
        Result result(raw);
        const ExecStatusType status = PQresultStatus(raw);
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) raise(raw);
        return result;
    }

    [[noreturn]] void raise(const PGresult* result) {
        const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        const char* detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
        std::string text = message ? message : PQerrorMessage(connection_.get());
        if (detail) text += std::string(" (") + detail + ")";
        throw ServerError(sqlstate ? sqlstate : "", text);
    }

    std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
    std::vector<const char*> values_;
    std::vector<int> lengths_;
    std::vector<int> formats_;
};

}  // namespace client
