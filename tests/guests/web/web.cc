// SPDX-License-Identifier: Apache-2.0
// A web server: a page that says what serves it, and a few paths that make the
// guest do something a test can see.

#include "tests/guests/net/address.h"
#include "tests/guests/net/options.h"
#include "tests/guests/net/tcp_server.h"
#include "tests/guests/runtime/arguments.h"
#include "tests/guests/runtime/console.h"
#include "tests/guests/runtime/manifest.h"
#include "tests/guests/runtime/platform.h"
#include "tests/guests/web/http.h"

namespace serai::guest {

SERAI_GUEST_DEVICES(NetDevice("service"));

namespace {

constexpr OptionSpec kOptions[] = {
    kIpv4Option,
    kIpv4GatewayOption,
    kIpv4OnlyOption,
    kIpv6Option,
    kIpv6GatewayOption,
    kIpv6OnlyOption,
    {"port", "TCP port to listen on, 80 unless given"},
    {"name", "a name to show on the page"},
    {"hostname", "the same"},
    {"dns-servers", "said at the start, and not asked"},
};

// How long the answer to /exit may take to be acknowledged.
constexpr uint64_t kExitPatience = kSecond;
constexpr uint64_t kMaxBytes = 1'000'000'000;

class Web final : public Service {
 public:
  Web(const Addresses& addresses, std::string_view name)
      : addresses_(addresses), name_(name) {}

  size_t Serve(const IpAddress& peer, std::string_view data, bool full,
               Writer& reply, AnswerEnd& end) override {
    HttpRequest request;
    switch (ParseHttp(data, request)) {
      case HttpParse::kIncomplete:
        if (!full) return 0;
        reply.Append(HttpAnswer{.status = 431, .body = "too long\n"});
        Print("? ? 431 from ", peer);
        end.close = true;
        return data.size();
      case HttpParse::kBad:
        reply.Append(HttpAnswer{.status = 400, .body = "bad request\n"});
        Print("? ? 400 from ", peer);
        end.close = true;
        return data.size();
      case HttpParse::kComplete:
        break;
    }
    char text[2048];
    Writer body(text, sizeof(text));
    HttpAnswer answer;
    answer.keep_alive = request.keep_alive;
    Answer(request, body, answer);
    answer.body = body.text();
    answer.head_only = request.method == "HEAD";
    if (!answer.head_only) end.stream = answer.stream;
    reply.Append(answer);
    end.close = !answer.keep_alive;
    Print(request.method, " ", request.path, " ", answer.status, " from ",
          peer);
    return request.size;
  }

  // What /bytes sends: lines of 64 characters that tell their own position.
  void Continue(uint64_t position, char* to, size_t size) override {
    constexpr size_t kLine = 64;
    for (size_t i = 0; i < size; ++i, ++position) {
      const uint64_t line = position / kLine;
      const size_t column = position % kLine;
      if (column < 16) {
        to[i] = "0123456789abcdef"[line >> (4 * (15 - column)) & 15];
      } else {
        to[i] = column == kLine - 1
                    ? '\n'
                    : static_cast<char>('a' + (line + column) % 26);
      }
    }
  }

  bool exiting() const { return exiting_; }
  int exit_status() const { return exit_status_; }

 private:
  void Answer(const HttpRequest& request, Writer& body, HttpAnswer& answer) {
    if (request.method != "GET" && request.method != "HEAD") {
      answer.status = 405;
      // There may be a body, and it would be taken for the next request.
      answer.keep_alive = false;
      body.Append("only GET and HEAD\n");
    } else if (request.path == "/") {
      answer.type = "text/html; charset=utf-8";
      AppendPage(body);
    } else if (request.path == "/healthz") {
      body.Append("ok\n");
    } else if (request.path == "/count") {
      body.AppendNumber(++count_);
      body.Append('\n');
    } else if (request.path == "/exit") {
      OnExit(request, body, answer);
    } else if (request.path == "/log") {
      OnLog(request, body);
    } else if (request.path == "/bytes") {
      OnBytes(request, body, answer);
    } else {
      answer.status = 404;
      body.Append("not found\n");
    }
  }

  void AppendPage(Writer& body) {
    body.Append(
        "<!doctype html>\n<html lang=\"en\">\n"
        "<head><title>Serai</title></head>\n<body>\n"
        "<h1>Hello from a unikernel</h1>\n<p>Served by the Serai example "
        "<b>web</b>, a Solo5 unikernel for ");
    body.Append(TargetName());
    body.Append(", at ");
    body.Append(addresses_);
    if (!name_.empty()) {
      body.Append(", called ");
      AppendEscaped(body, name_);
    }
    body.Append(".</p>\n</body>\n</html>\n");
  }

  void OnExit(const HttpRequest& request, Writer& body, HttpAnswer& answer) {
    const auto code =
        ParseNumber(QueryValue(request.query, "code").value_or("0"), 255);
    if (!code.has_value()) {
      answer.status = 400;
      body.Append("code is a number from 0 to 255\n");
      return;
    }
    answer.keep_alive = false;
    exiting_ = true;
    exit_status_ = static_cast<int>(*code);
    body.Append("bye\n");
  }

  static void OnBytes(const HttpRequest& request, Writer& body,
                      HttpAnswer& answer) {
    const auto count =
        ParseNumber(QueryValue(request.query, "n").value_or(""), kMaxBytes);
    if (!count.has_value()) {
      answer.status = 400;
      body.Append("n is a number of bytes, of 1 GB at most\n");
      return;
    }
    answer.type = "application/octet-stream";
    answer.stream = *count;
  }

  static void OnLog(const HttpRequest& request, Writer& body) {
    char text[TcpConnection::kRequestSize];
    Writer line(text, sizeof(text));
    AppendDecoded(line, QueryValue(request.query, "text").value_or(""));
    line.Append('\n');
    WriteConsole(line.text());
    body.Append("logged\n");
  }

  Addresses addresses_;
  std::string_view name_;
  uint64_t count_ = 0;
  bool exiting_ = false;
  int exit_status_ = 0;
};

}  // namespace

int Main() {
  const Options options("web", kOptions);
  const Addresses addresses = ReadNetworkOptions("web", options);
  const auto port = static_cast<uint16_t>(options.Number("port", 80, 65535));
  const std::string_view name =
      options.Value("name").value_or(options.Value("hostname").value_or(""));
  Web web(addresses, name);

  Interface interface(FindDevice("service", kNetDevice), addresses);
  TcpServer server(interface, port, web);
  interface.Register(kProtocolTcp, &server);
  interface.Announce();
  if (!name.empty()) Print("web: called ", name);
  if (const auto servers = options.Value("dns-servers")) {
    Print("web: name servers ", *servers);
  }
  for (const IpAddress& address : List(addresses)) {
    Print("web: listening on http://", Host{address}, ":", port, "/");
  }

  uint64_t exit_deadline = 0;
  while (true) {
    uint64_t sleep = server.Tick();
    if (web.exiting()) {
      const uint64_t now = MonotonicTime();
      if (exit_deadline == 0) exit_deadline = now + kExitPatience;
      if (!server.HasUnacknowledged() || now >= exit_deadline) break;
      if (sleep > exit_deadline - now) sleep = exit_deadline - now;
    }
    Poll(sleep);
    interface.Receive();
  }
  Print("web: exiting with status ", web.exit_status());
  return web.exit_status();
}

}  // namespace serai::guest
