// SPDX-License-Identifier: Apache-2.0
#include "tests/support/byte_channel.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "lib/base/unique_fd.h"

namespace serai::testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

// Whether `fd` is ready for `events` within `timeout`.
bool WaitFor(int fd, short events, absl::Duration timeout) {
  pollfd poll_fd = {fd, events, 0};
  const auto milliseconds =
      static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(
          std::max(timeout, absl::ZeroDuration()), absl::Milliseconds(1))));
  return ::poll(&poll_fd, 1, milliseconds) > 0;
}

class PlainChannel final : public ByteChannel {
 public:
  explicit PlainChannel(UniqueFd fd) : fd_(std::move(fd)) {}

  absl::StatusOr<std::string> Receive(absl::Duration timeout) override {
    if (!WaitFor(fd_.get(), POLLIN, timeout)) {
      return absl::DeadlineExceededError("nothing came");
    }
    std::array<char, 64 << 10> bytes;
    const ssize_t n = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (n < 0) return ErrnoStatus(errno, "recv");
    return std::string(bytes.data(), static_cast<size_t>(n));
  }

  absl::StatusOr<size_t> SendSome(absl::string_view bytes,
                                  absl::Duration timeout) override {
    if (!WaitFor(fd_.get(), POLLOUT, timeout)) return size_t{0};
    const ssize_t n =
        ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) return size_t{0};
    if (n < 0) return ErrnoStatus(errno, "send");
    return static_cast<size_t>(n);
  }

 private:
  const UniqueFd fd_;
};

class TlsChannel final : public ByteChannel {
 public:
  using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
  using Session = std::unique_ptr<SSL, decltype(&SSL_free)>;

  TlsChannel(UniqueFd fd, Context context, Session session)
      : fd_(std::move(fd)),
        context_(std::move(context)),
        session_(std::move(session)) {}

  absl::StatusOr<std::string> Receive(absl::Duration timeout) override {
    std::array<char, 16 << 10> bytes;
    const absl::Time deadline = absl::Now() + timeout;
    for (;;) {
      const int n = SSL_read(session_.get(), bytes.data(), bytes.size());
      if (n > 0) return std::string(bytes.data(), static_cast<size_t>(n));
      const int error = SSL_get_error(session_.get(), n);
      if (error == SSL_ERROR_ZERO_RETURN) return std::string();
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        return Failure("SSL_read");
      }
      if (!WaitFor(fd_.get(), EventsFor(error), deadline - absl::Now())) {
        return absl::DeadlineExceededError("nothing came");
      }
    }
  }

  absl::StatusOr<size_t> SendSome(absl::string_view bytes,
                                  absl::Duration timeout) override {
    const int n =
        SSL_write(session_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (n > 0) return static_cast<size_t>(n);
    const int error = SSL_get_error(session_.get(), n);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
      return Failure("SSL_write");
    }
    WaitFor(fd_.get(), EventsFor(error), timeout);
    return size_t{0};
  }

  absl::Status Handshake() {
    const absl::Time deadline = absl::Now() + kPatience;
    for (;;) {
      const int n = SSL_connect(session_.get());
      if (n == 1) return absl::OkStatus();
      const int error = SSL_get_error(session_.get(), n);
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        return Failure("SSL_connect");
      }
      if (!WaitFor(fd_.get(), EventsFor(error), deadline - absl::Now())) {
        return absl::DeadlineExceededError("no TLS handshake");
      }
    }
  }

 private:
  static short EventsFor(int error) {
    return error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
  }
  static absl::Status Failure(const char* what) {
    std::array<char, 256> text;
    ERR_error_string_n(ERR_get_error(), text.data(), text.size());
    ERR_clear_error();
    return absl::UnavailableError(absl::StrCat(what, ": ", text.data()));
  }

  const UniqueFd fd_;
  const Context context_;
  const Session session_;
};

absl::StatusOr<std::unique_ptr<ByteChannel>> StartTls(UniqueFd fd,
                                                      const TlsFiles& files) {
  TlsChannel::Context context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_ENABLE_PARTIAL_WRITE);
  if (SSL_CTX_load_verify_file(context.get(), files.ca.c_str()) != 1) {
    return absl::InvalidArgumentError("the CA's file does not do");
  }
  if (!files.certificate.empty() &&
      (SSL_CTX_use_certificate_file(context.get(), files.certificate.c_str(),
                                    SSL_FILETYPE_PEM) != 1 ||
       SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(),
                                   SSL_FILETYPE_PEM) != 1)) {
    return absl::InvalidArgumentError("the client's certificate does not do");
  }
  TlsChannel::Session session(SSL_new(context.get()), &SSL_free);
  SSL_set_fd(session.get(), fd.get());
  auto channel = std::make_unique<TlsChannel>(std::move(fd), std::move(context),
                                              std::move(session));
  RETURN_IF_ERROR(channel->Handshake());
  return std::unique_ptr<ByteChannel>(std::move(channel));
}

}  // namespace

absl::Status ByteChannel::Send(absl::string_view bytes) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!bytes.empty()) {
    ASSIGN_OR_RETURN(const size_t sent,
                     SendSome(bytes, deadline - absl::Now()));
    bytes.remove_prefix(sent);
    if (absl::Now() > deadline) {
      return absl::DeadlineExceededError("the server takes nothing");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Url> ParseUrl(const std::string& text) {
  Url url;
  absl::string_view rest = text;
  url.tls = absl::ConsumePrefix(&rest, "https://");
  if (!url.tls && !absl::ConsumePrefix(&rest, "http://")) {
    return absl::InvalidArgumentError(absl::StrCat(text, " is no URL"));
  }
  const size_t slash = rest.find('/');
  const size_t colon = rest.find(':');
  if (slash == rest.npos || colon > slash ||
      !absl::SimpleAtoi(rest.substr(colon + 1, slash - colon - 1), &url.port)) {
    return absl::InvalidArgumentError(absl::StrCat(text, " has no port"));
  }
  url.host = std::string(rest.substr(0, colon));
  url.path = std::string(rest.substr(slash));
  return url;
}

absl::StatusOr<std::unique_ptr<ByteChannel>> ConnectTo(const Url& url,
                                                       const TlsFiles& files) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "socket");
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(url.port));
  if (::inet_pton(AF_INET, url.host.c_str(), &address.sin_addr) != 1) {
    return absl::InvalidArgumentError(absl::StrCat(url.host, " is no address"));
  }
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                sizeof(address)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("connect ", url.host));
  }
  ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
  if (url.tls) return StartTls(std::move(fd), files);
  return std::unique_ptr<ByteChannel>(
      std::make_unique<PlainChannel>(std::move(fd)));
}

std::string HttpHead::Value(absl::string_view name) const {
  const size_t at = lines.find(absl::StrCat("\n", name, ": "));
  if (at == std::string::npos) return "";
  const size_t begin = at + name.size() + 3;
  return lines.substr(begin, lines.find('\n', begin) - begin);
}

absl::StatusOr<HttpHead> HttpExchange(ByteChannel& channel,
                                      absl::string_view request) {
  RETURN_IF_ERROR(channel.Send(request));
  std::string text;
  size_t end = std::string::npos;
  while ((end = text.find("\r\n\r\n")) == std::string::npos) {
    ASSIGN_OR_RETURN(const std::string more, channel.Receive(kPatience));
    if (more.empty()) {
      return absl::UnavailableError(
          absl::StrCat("the connection ended after \"", text, "\""));
    }
    text += more;
  }
  HttpHead head;
  head.rest = text.substr(end + 4);
  for (size_t i = 0; i < end; ++i) {
    if (text[i] != '\r') head.lines.push_back(text[i]);
  }
  head.lines.push_back('\n');
  // "HTTP/1.1 101 …"; names are lowered, values are not.
  absl::SimpleAtoi(head.lines.substr(9, 3), &head.status);
  bool in_name = false;
  for (char& c : head.lines) {
    if (c == '\n') in_name = true;
    if (c == ':') in_name = false;
    if (in_name) c = absl::ascii_tolower(static_cast<unsigned char>(c));
  }
  return head;
}

}  // namespace serai::testing
