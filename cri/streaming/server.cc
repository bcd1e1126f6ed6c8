// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <list>
#include <optional>
#include <thread>
#include <utility>

#include "cri/streaming/http_connection.h"
#include "cri/streaming/listen_address.h"
#include "cri/streaming/poster.h"
#include "cri/streaming/router.h"
#include "cri/streaming/tls.h"
#include "lib/base/deadline.h"
#include "spdlog/spdlog.h"

namespace serai::cri::streaming {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// Connections without a request so far. When more come, the oldest goes: who
// has a token needs only a moment.
constexpr size_t kMaxWaiting = 128;
// After an accept that failed, for want of descriptors.
constexpr std::chrono::milliseconds kRetry(100);

}  // namespace

class Server::Listener {
 public:
  Listener(Backend& backend, std::unique_ptr<asio::ssl::context> tls)
      : tls_(std::move(tls)),
        poster_(std::make_shared<Poster>(io_)),
        router_({io_.get_executor(), backend, poster_, tokens_}),
        acceptor_(io_),
        retry_(io_) {}

  ~Listener() {
    poster_->Close();
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Listen(const tcp::endpoint& endpoint) {
    error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error)
      acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      return absl::UnavailableError(error.message());
    }
    Accept();
    thread_ = std::thread([this] { io_.run(); });
    return absl::OkStatus();
  }

  std::string BaseUrl() const {
    return UrlOf(tls_ == nullptr ? "http" : "https",
                 acceptor_.local_endpoint());
  }

  TokenCache& tokens() { return tokens_; }

 private:
  void Accept() {
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      if (error) {
        spdlog::warn("streaming: accept: {}", error.message());
        retry_.expires_after(kRetry);
        retry_.async_wait([this](error_code) { Accept(); });
        return;
      }
      Take(std::move(socket));
      Accept();
    });
  }

  void Take(tcp::socket socket) {
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    SetKeepAlive(socket.native_handle());
    if (waiting_.size() >= kMaxWaiting) {
      const auto oldest = waiting_.front().lock();
      if (oldest != nullptr) oldest->Close();
    }
    const auto place = waiting_.emplace(waiting_.end());
    const auto connection = std::make_shared<HttpConnection>(
        std::move(socket), tls_.get(),
        [this](std::shared_ptr<HttpConnection> whole) { router_.Serve(whole); },
        [this, place] { waiting_.erase(place); });
    *place = connection;
    connection->Start();
  }

  const std::unique_ptr<asio::ssl::context> tls_;
  TokenCache tokens_;
  std::list<std::weak_ptr<HttpConnection>> waiting_;
  // What is left in it when it goes uses what stands above it.
  asio::io_context io_{1};
  const std::shared_ptr<Poster> poster_;
  Router router_;
  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  std::thread thread_;
};

Server::Server(std::unique_ptr<Listener> listener)
    : listener_(std::move(listener)), base_url_(listener_->BaseUrl()) {}

Server::~Server() = default;

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const ServerOptions& options, Backend& backend) {
  ASSIGN_OR_RETURN(const tcp::endpoint endpoint,
                   ParseListenAddress(options.address));
  ASSIGN_OR_RETURN(std::unique_ptr<asio::ssl::context> tls,
                   TlsContext(options));
  auto listener = std::make_unique<Listener>(backend, std::move(tls));
  RETURN_IF_ERROR(listener->Listen(endpoint), "listening on ", options.address);
  return std::unique_ptr<Server>(new Server(std::move(listener)));
}

absl::StatusOr<std::string> Server::AttachUrl(AttachRequest request) {
  return Url("attach", std::move(request));
}

absl::StatusOr<std::string> Server::PortForwardUrl(PortForwardRequest request) {
  return Url("portforward", std::move(request));
}

absl::StatusOr<std::string> Server::Url(absl::string_view action,
                                        Request request) {
  ASSIGN_OR_RETURN(
      const std::string token,
      listener_->tokens().Insert(std::move(request), MonotonicNow()));
  return absl::StrCat(base_url_, "/", action, "/", token);
}

}  // namespace serai::cri::streaming
