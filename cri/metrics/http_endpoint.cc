// SPDX-License-Identifier: Apache-2.0
#include "cri/metrics/http_endpoint.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "cri/streaming/listen_address.h"
#include "lib/base/version.h"

namespace serai::cri {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Error = boost::system::error_code;

constexpr int kMaxConnections = 16;
constexpr size_t kMaxHeaderBytes = 8 << 10;
// For a whole request or answer to pass.
constexpr std::chrono::seconds kPatience(10);
// Between two requests on a connection: longer than scrapes are apart.
constexpr std::chrono::seconds kIdle(180);

using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

Response Plain(const Request& request, http::status status, std::string text) {
  Response response(status, request.version());
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  response.body() = std::move(text);
  return response;
}

Response Answer(const Request& request, const HttpEndpoint::Scrape& scrape) {
  if (request.method() != http::verb::get &&
      request.method() != http::verb::head) {
    Response response =
        Plain(request, http::status::method_not_allowed, "only GET and HEAD\n");
    response.set(http::field::allow, "GET, HEAD");
    return response;
  }
  const auto target = request.target();
  if (target.substr(0, target.find('?')) != "/metrics") {
    return Plain(request, http::status::not_found, "metrics are at /metrics\n");
  }
  const auto accept = request[http::field::accept];
  const Exposition exposition =
      ChooseExposition(absl::string_view(accept.data(), accept.size()));
  Response response = Plain(request, http::status::ok, scrape(exposition));
  const absl::string_view type = ContentType(exposition);
  response.set(http::field::content_type, {type.data(), type.size()});
  return response;
}

// One connection; it lives as long as something is under way on it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, const HttpEndpoint::Scrape& scrape,
             int& connections)
      : stream_(std::move(socket)), scrape_(scrape), connections_(connections) {
    ++connections_;
  }
  ~Connection() { --connections_; }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Read(std::chrono::seconds patience) {
    parser_.emplace();
    parser_->header_limit(kMaxHeaderBytes);
    stream_.expires_after(patience);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](Error error, size_t) {
                       if (!error) self->Reply();
                     });
  }

 private:
  void Reply() {
    const Request& request = parser_->get();
    response_ = Answer(request, scrape_);
    response_.set(http::field::server, std::string("seraid/") + kVersion);
    response_.keep_alive(request.keep_alive());
    response_.prepare_payload();
    // The length is told also where the body is not wanted.
    if (request.method() == http::verb::head) response_.body().clear();
    stream_.expires_after(kPatience);
    http::async_write(stream_, response_,
                      [self = shared_from_this()](Error error, size_t) {
                        self->Replied(error);
                      });
  }

  void Replied(Error error) {
    if (error) return;
    if (response_.keep_alive()) return Read(kIdle);
    stream_.socket().shutdown(tcp::socket::shutdown_send, error);
  }

  beast::tcp_stream stream_;
  const HttpEndpoint::Scrape& scrape_;
  int& connections_;
  beast::flat_buffer buffer_{kMaxHeaderBytes};
  std::optional<http::request_parser<http::empty_body>> parser_;
  Response response_;
};

}  // namespace

class HttpEndpoint::Server {
 public:
  explicit Server(Scrape scrape) : scrape_(std::move(scrape)) {}

  ~Server() {
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }

  Error Listen(const tcp::endpoint& endpoint) {
    Error error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) {
      acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    }
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(kMaxConnections, error);
    return error;
  }

  tcp::endpoint local_endpoint() const { return acceptor_.local_endpoint(); }

  void Run() {
    Accept();
    thread_ = std::thread([this] { context_.run(); });
  }

 private:
  void Accept() {
    acceptor_.async_accept([this](Error error, tcp::socket socket) {
      // One too many is closed.
      if (!error && connections_ < kMaxConnections) {
        std::make_shared<Connection>(std::move(socket), scrape_, connections_)
            ->Read(kPatience);
      }
      if (error) {
        // Out of descriptors, most likely: that must not become a busy loop.
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
      Accept();
    });
  }

  const Scrape scrape_;
  int connections_ = 0;
  asio::io_context context_{1};
  tcp::acceptor acceptor_{context_};
  std::thread thread_;
};

HttpEndpoint::HttpEndpoint(std::unique_ptr<Server> server, std::string address)
    : server_(std::move(server)), address_(std::move(address)) {}

HttpEndpoint::~HttpEndpoint() = default;

absl::StatusOr<std::unique_ptr<HttpEndpoint>> HttpEndpoint::Listen(
    const std::string& address, Scrape scrape) {
  ASSIGN_OR_RETURN(const tcp::endpoint endpoint,
                   streaming::ParseListenAddress(address));
  auto server = std::make_unique<Server>(std::move(scrape));
  if (const Error error = server->Listen(endpoint); error) {
    return absl::FailedPreconditionError(
        absl::StrCat("can't listen on ", address, ": ", error.message()));
  }
  const tcp::endpoint taken = server->local_endpoint();
  const std::string host = taken.address().to_string();
  std::string name = absl::StrCat(
      taken.address().is_v6() ? absl::StrCat("[", host, "]") : host, ":",
      taken.port());
  server->Run();
  return std::unique_ptr<HttpEndpoint>(
      new HttpEndpoint(std::move(server), std::move(name)));
}

}  // namespace serai::cri
