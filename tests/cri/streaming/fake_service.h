// SPDX-License-Identifier: Apache-2.0
#pragma once

// A service that reads what comes on each stream, at once; of type "left" only
// when it is told to.

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "cri/streaming/service.h"

namespace serai::cri::streaming {

class FakeService final : public Service {
 public:
  void Start(std::function<void()> finish) override {
    finish_ = std::move(finish);
  }
  void OnStream(std::shared_ptr<Stream> stream, uint32_t id,
                const spdy::Headers& headers) override {
    stream->OnAbort([this] { ++aborted; });
    streams[id] = std::move(stream);
    if (spdy::HeaderValue(headers, "streamtype") != "left") ReadAll(id);
  }
  void OnClosed() override { closed = true; }

  void ReadAll(uint32_t id) {
    streams[id]->Read([this, id](std::string data) {
      if (data.empty()) return;
      got[id] += data;
      ReadAll(id);
    });
  }
  void Finish() { finish_(); }

  std::map<uint32_t, std::shared_ptr<Stream>> streams;
  std::map<uint32_t, std::string> got;
  int aborted = 0;
  bool closed = false;

 private:
  std::function<void()> finish_;
};

}  // namespace serai::cri::streaming
