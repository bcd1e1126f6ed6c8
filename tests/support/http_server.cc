// SPDX-License-Identifier: Apache-2.0
#include "tests/support/http_server.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace serai::testing {
namespace {

constexpr size_t kMaxRequest = 64 << 20;

// Reads until `text` has `size` bytes, or its end when that is npos and
// "\r\n\r\n" has come.
bool ReadUntil(int fd, std::string& text, size_t size) {
  char buffer[16384];
  while (size == std::string::npos ? text.find("\r\n\r\n") == std::string::npos
                                   : text.size() < size) {
    const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
    if (got <= 0 || text.size() > kMaxRequest) return false;
    text.append(buffer, static_cast<size_t>(got));
  }
  return true;
}

HttpServerRequest ParseHead(const std::string& head) {
  HttpServerRequest request;
  const size_t first = head.find(' ');
  const size_t second = head.find(' ', first + 1);
  const std::string target = head.substr(first + 1, second - first - 1);
  request.method = head.substr(0, first);
  request.path = target.substr(0, target.find('?'));
  if (request.path.size() < target.size()) {
    request.query = target.substr(request.path.size() + 1);
  }
  size_t line = head.find("\r\n");
  while (line != std::string::npos && line + 2 < head.size()) {
    const size_t begin = line + 2;
    line = head.find("\r\n", begin);
    const std::string text = head.substr(begin, line - begin);
    const size_t colon = text.find(':');
    if (colon == std::string::npos) continue;
    request.headers[absl::AsciiStrToLower(text.substr(0, colon))] =
        std::string(absl::StripAsciiWhitespace(text.substr(colon + 1)));
  }
  return request;
}

bool ReadRequest(int fd, HttpServerRequest& request) {
  std::string text;
  if (!ReadUntil(fd, text, std::string::npos)) return false;
  const size_t body = text.find("\r\n\r\n") + 4;
  request = ParseHead(text.substr(0, body - 2));
  size_t length = 0;
  const auto said = request.headers.find("content-length");
  if (said != request.headers.end() &&
      !absl::SimpleAtoi(said->second, &length)) {
    return false;
  }
  if (!ReadUntil(fd, text, body + length)) return false;
  request.body = text.substr(body, length);
  return true;
}

}  // namespace

bool HttpServer::Reply::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void HttpServer::Reply::Answer(int status, absl::string_view body,
                               absl::string_view headers) {
  Send(absl::StrCat("HTTP/1.1 ", status,
                    " Whatever\r\nConnection: close\r\n"
                    "Content-Length: ",
                    body.size(), "\r\n", headers, "\r\n", body));
}

HttpServer::HttpServer(Handler handler)
    : handler_(std::move(handler)),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(listener_.get(), generic, size), 0);
  EXPECT_EQ(::listen(listener_.get(), 64), 0);
  EXPECT_EQ(::getsockname(listener_.get(), generic, &size), 0);
  host_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  acceptor_ = std::thread([this] { Accept(); });
}

HttpServer::~HttpServer() {
  stopping_ = true;
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  // No new thread or connection from here on.
  for (const UniqueFd& fd : connections_) ::shutdown(fd.get(), SHUT_RDWR);
  for (std::thread& thread : threads_) thread.join();
}

std::vector<HttpServerRequest> HttpServer::requests() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return requests_;
}

void HttpServer::Accept() {
  while (!stopping_) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.valid()) continue;
    const int borrowed = fd.get();
    connections_.push_back(std::move(fd));
    threads_.emplace_back([this, borrowed] { Serve(borrowed); });
  }
}

void HttpServer::Serve(int fd) {
  HttpServerRequest request;
  if (ReadRequest(fd, request)) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      requests_.push_back(request);
    }
    Reply reply(fd);
    handler_(request, reply);
  }
  ::shutdown(fd, SHUT_RDWR);
}

}  // namespace serai::testing
