// SPDX-License-Identifier: Apache-2.0
// Frames come the same whether the bytes arrive at once or one by one; a
// session survives them, and holds no more than it may; and a connection that
// stops reading for what is unread, and goes on, gives its streams the same.
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <string>
#include <vector>

#include "cri/streaming/channel_message.h"
#include "cri/streaming/spdy/session.h"
#include "cri/streaming/spdy_connection.h"
#include "tests/cri/streaming/fake_host.h"
#include "tests/cri/streaming/fake_service.h"
#include "tests/cri/streaming/fake_transport.h"
#include "tests/fuzz/check.h"

namespace serai::cri::spdy {
namespace {

// What the decoder gives, the pieces of a stream's data joined.
void TakeItems(FrameDecoder& decoder, absl::string_view bytes,
               std::vector<std::string>& taken) {
  for (;;) {
    const auto item = decoder.Next(bytes);
    if (!item.ok()) {
      taken.emplace_back("broken");
      return;
    }
    if (const auto* control = std::get_if<ControlFrame>(&*item)) {
      taken.push_back(absl::StrCat("control ", control->type, " ",
                                   int{control->flags}, " ", control->payload));
      FUZZ_CHECK(control->payload.size() <= kMaxControlBytes);
    } else if (const auto* data = std::get_if<DataPiece>(&*item)) {
      const std::string name = absl::StrCat("data ", data->stream, " ");
      if (taken.empty() || taken.back().rfind(name, 0) != 0) {
        taken.push_back(name);
      }
      absl::StrAppend(&taken.back(), data->data, data->fin ? "|" : "");
    } else {
      return;
    }
  }
}

// A user of streams that reads some, forgets some, writes to some.
class User final : public Session::Host {
 public:
  void Send(std::string bytes, streaming::Stream::Done done) override {
    sent += bytes.size();
    if (done != nullptr) waiting.push_back(std::move(done));
  }
  void OnStream(std::shared_ptr<streaming::Stream> stream, uint32_t id,
                const Headers& headers) override {
    streams.push_back(stream);
    stream->OnAbort([this] { ++aborted; });
    if (id % 4 == 1) stream->Discard();
    if (id % 8 == 3) stream->Read([](std::string) {});
    if (id % 16 == 7) stream->Reset();
    if (!headers.empty())
      stream->Write("answer", [stream] { stream->CloseWrite(); });
  }
  void OnReadable() override {}

  size_t sent = 0;
  int aborted = 0;
  std::vector<std::shared_ptr<streaming::Stream>> streams;
  std::vector<streaming::Stream::Done> waiting;
};

void RunSession(absl::string_view bytes) {
  User user;
  Session session(user);
  while (!bytes.empty()) {
    const absl::string_view piece = bytes.substr(0, 1000);
    bytes.remove_prefix(piece.size());
    const absl::Status status = session.Receive(piece);
    FUZZ_CHECK(session.open_streams() <= kMaxStreams);
    FUZZ_CHECK(session.unread() <= kMaxUnreadBytes + piece.size());
    if (!status.ok()) break;
    for (const auto& done : std::exchange(user.waiting, {})) done();
    if (!session.wants_input()) break;
  }
  session.Abort();
  FUZZ_CHECK(session.open_streams() == 0);
  FUZZ_CHECK(session.unread() == 0);
}

// Half of the streams are read when nothing else goes on only.
class Hesitant final : public streaming::Service {
 public:
  void Start(std::function<void()> finish) override {
    service_.Start(std::move(finish));
  }
  void OnStream(std::shared_ptr<streaming::Stream> stream, uint32_t id,
                const Headers&) override {
    const bool late = id % 4 == 1;
    service_.OnStream(std::move(stream), id,
                      {{"streamtype", late ? "left" : "read"}});
    if (late) late_.push_back(id);
  }
  void OnClosed() override { service_.OnClosed(); }

  void ReadLate() {
    for (const uint32_t id : std::exchange(late_, {})) service_.ReadAll(id);
  }
  // Of the streams that were read at once: a reset takes the others' bytes.
  std::map<uint32_t, std::string> got() const {
    std::map<uint32_t, std::string> got;
    for (const auto& [id, bytes] : service_.got) {
      if (id % 4 != 1) got[id] = bytes;
    }
    return got;
  }

 private:
  streaming::FakeService service_;
  std::vector<uint32_t> late_;
};

void RunConnection(absl::string_view bytes) {
  Hesitant at_once;
  {
    FakeHost host;
    host.service = &at_once;
    Session session(host);
    (void)session.Receive(bytes);
  }
  boost::asio::io_context io;
  const auto transport =
      std::make_shared<streaming::FakeTransport>(io.get_executor());
  const auto service = std::make_shared<Hesitant>();
  transport->Receive(std::string(bytes));
  std::make_shared<streaming::SpdyConnection>(io.get_executor(), transport,
                                              service)
      ->Start("");
  for (size_t left = bytes.size() + 1; left > transport->left();) {
    left = transport->left();
    io.poll();
    service->ReadLate();
    io.poll();
  }
  FUZZ_CHECK(transport->left() == 0);
  FUZZ_CHECK(!transport->misused);
  FUZZ_CHECK(service->got() == at_once.got());
  transport->Close();
  io.poll();
}

}  // namespace
}  // namespace serai::cri::spdy

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace serai::cri::spdy;  // NOLINT(google-build-using-namespace)
  const absl::string_view bytes = serai::fuzz::Text(data, size);
  std::vector<std::string> at_once;
  FrameDecoder whole;
  TakeItems(whole, bytes, at_once);
  std::vector<std::string> one_by_one;
  FrameDecoder dripping;
  for (const char byte : bytes) {
    TakeItems(dripping, absl::string_view(&byte, 1), one_by_one);
    if (!one_by_one.empty() && one_by_one.back() == "broken") break;
  }
  FUZZ_CHECK(at_once == one_by_one);
  RunSession(bytes);
  RunConnection(bytes);

  // Headers by themselves, compressed and not.
  HeaderDecoder().Decode(bytes).IgnoreError();
  const auto headers = ParseHeaderBlock(bytes);
  if (headers.ok()) FUZZ_CHECK(BuildHeaderBlock(*headers) == bytes);

  using namespace serai::cri::streaming;  // NOLINT
  for (const char* name : {"v5.channel.k8s.io", "v4.base64.channel.k8s.io"}) {
    const ChannelProtocol protocol = ChannelProtocolOf(name);
    const auto message = DecodeChannelMessage(protocol, bytes);
    if (message.ok() && !protocol.base64 && !message->end && size > 0) {
      FUZZ_CHECK(EncodeChannelMessage(protocol, message->channel,
                                      message->data) == bytes);
    }
  }
  return 0;
}
