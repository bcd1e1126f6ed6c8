// SPDX-License-Identifier: Apache-2.0
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "bench/tender/measures.h"
#include "bench/tender/process.h"
#include "tests/guests/testing/guest_network.h"

namespace serai::bench {
namespace {

constexpr uint16_t kEchoPort = 7;
constexpr size_t kPayload = 56;  // as ping's
constexpr int kInFlight = 32;
constexpr size_t kConnections = 8;

// Sends something to the guest that comes back.
class Echo {
 public:
  explicit Echo(bool ping)
      : ping_(ping),
        fd_(::socket(AF_INET, (ping ? SOCK_RAW : SOCK_DGRAM) | SOCK_CLOEXEC,
                     ping ? IPPROTO_ICMP : IPPROTO_UDP)) {
    const timeval timeout = {0, 100'000};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    const sockaddr_in to = testing::GuestPort(ping ? 0 : kEchoPort);
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to),
                  sizeof(to)) != 0) {
      Die("connecting to the guest");
    }
    icmphdr header = {};
    header.type = ICMP_ECHO;
    // All else is zero.
    header.checksum = static_cast<uint16_t>(~htons(ICMP_ECHO << 8));
    std::memcpy(request_.data(), &header, sizeof(header));
  }

  void Send() {
    if (::send(fd_.get(), request_.data(), request_.size(), 0) < 0) {
      Die("sending to the guest");
    }
  }
  // False when nothing comes within 0.1 s.
  bool Receive() {
    std::array<char, 256> answer;
    constexpr size_t kIpHeader = 20;
    for (;;) {
      const ssize_t size = ::recv(fd_.get(), answer.data(), answer.size(), 0);
      if (size <= 0) return false;
      if (!ping_ || answer[kIpHeader] == ICMP_ECHOREPLY) return true;
    }
  }

 private:
  bool ping_;
  UniqueFd fd_;
  std::array<char, sizeof(icmphdr) + kPayload> request_ = {};
};

// Median of the times from request to answer, one at a time, in µs.
double RoundTrip(Echo* echo, double seconds) {
  std::vector<double> times;
  const double end = Now() + seconds;
  for (double start = Now(); start < end; start = Now()) {
    echo->Send();
    if (echo->Receive()) times.push_back(Now() - start);
  }
  if (times.empty()) Die("the guest does not answer");
  const auto middle =
      times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle * 1e6;
}

// Answers with always kInFlight requests under way.
int Flood(Echo* echo, double seconds) {
  int answers = 0;
  int in_flight = 0;
  for (const double end = Now() + seconds; Now() < end;) {
    for (; in_flight < kInFlight; ++in_flight) echo->Send();
    if (echo->Receive()) {
      ++answers;
      --in_flight;
    } else {
      in_flight = 0;  // all lost
    }
  }
  // Those under way are not to be taken for answers to later ones.
  while (in_flight-- > 0 && echo->Receive()) {
  }
  return answers;
}

// A guest at the end of the tap.
class Server : public Process {
 public:
  Server(const Setting& setting, const Contestant& contestant,
         const std::string& guest)
      : Process(contestant.Command(
                    setting.guests, guest, testing::ServiceDevice(),
                    {std::string("--ipv4=") + testing::kGuestAddress + "/24"}),
                Output::kFile) {
    WaitForOutput("listening on");
  }
};

void MeasureEcho(const Setting& setting, const Contestant& contestant,
                 Table* table) {
  Server server(setting, contestant, "echo");
  for (const bool ping : {true, false}) {
    const std::string what = ping ? "ping" : "UDP echo";
    Echo echo(ping);
    while (!echo.Receive()) echo.Send();  // ARP
    table->Add({what + ", round trip", "µs"}, contestant,
               RoundTrip(&echo, setting.load_seconds));
    const double cpu = server.CpuTime();
    const double start = Now();
    const int answers = Flood(&echo, setting.load_seconds);
    const double seconds = Now() - start;
    table->Add({what + ", 32 in flight", "answers/s", Better::kHigher},
               contestant, answers / seconds);
    table->Add({what + ", processor time of the tender", "µs/answer"},
               contestant, (server.CpuTime() - cpu) * 1e6 / answers);
  }
}

constexpr char kRequest[] = "GET / HTTP/1.1\r\nHost: guest\r\n\r\n";

void Ask(int fd) {
  if (::send(fd, kRequest, sizeof(kRequest) - 1, MSG_NOSIGNAL) < 0) {
    Die("sending a request to web");
  }
}

// Requests each second over connections that stay open. An answer is one
// segment, so what arrives is one answer.
double RequestRate(double seconds) {
  std::vector<UniqueFd> connections;
  std::array<pollfd, kConnections> waited = {};
  for (pollfd& one : waited) {
    connections.push_back(testing::Connect(80));
    one = {connections.back().get(), POLLIN, 0};
    if (one.fd < 0) Die("connecting to web");
    Ask(one.fd);
  }
  int answers = 0;
  const double start = Now();
  while (Now() - start < seconds) {
    if (::poll(waited.data(), waited.size(), 1000) <= 0) {
      Die("web does not answer");
    }
    for (const pollfd& one : waited) {
      if ((one.revents & POLLIN) == 0) continue;
      std::array<char, 4096> answer;
      if (::recv(one.fd, answer.data(), answer.size(), 0) <= 0) {
        Die("web hangs up");
      }
      ++answers;
      Ask(one.fd);
    }
  }
  return answers / (Now() - start);
}

// Connections each second, each for one request.
double ConnectionRate(double seconds) {
  int answers = 0;
  const double start = Now();
  while (Now() - start < seconds) {
    if (testing::Get("/healthz").empty()) Die("web does not answer");
    ++answers;
  }
  return answers / (Now() - start);
}

void MeasureWeb(const Setting& setting, const Contestant& contestant,
                Table* table) {
  Server server(setting, contestant, "web");
  table->Add({"HTTP, 8 connections", "requests/s", Better::kHigher}, contestant,
             RequestRate(setting.load_seconds));
  table->Add(
      {"HTTP, a connection for each request", "requests/s", Better::kHigher},
      contestant, ConnectionRate(setting.load_seconds));
}

}  // namespace

void MeasureNetwork(const Setting& setting, Table* table) {
  testing::EnterGuestNetwork();
  for (int round = 0; round < setting.load_rounds; ++round) {
    for (const Contestant& contestant : setting.contestants) {
      MeasureEcho(setting, contestant, table);
    }
  }
  for (int round = 0; round < setting.load_rounds; ++round) {
    for (const Contestant& contestant : setting.contestants) {
      MeasureWeb(setting, contestant, table);
    }
  }
}

}  // namespace serai::bench
