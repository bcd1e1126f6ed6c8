// SPDX-License-Identifier: Apache-2.0
#pragma once

// A client's end of a connection. What it has sent is in the reader's buffer
// before ReadSome() has returned, as Asio, which reads at once what is there,
// has it.

#include <algorithm>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <cstring>
#include <string>
#include <utility>

#include "cri/streaming/transport.h"

namespace serai::cri::streaming {

class FakeTransport final : public Transport {
 public:
  explicit FakeTransport(boost::asio::any_io_executor executor)
      : executor_(std::move(executor)) {}

  void ReadSome(
      boost::asio::mutable_buffer buffer,
      std::function<void(boost::system::error_code, size_t)> done) override {
    misused = misused || read_done_ != nullptr;
    buffer_ = buffer;
    read_done_ = std::move(done);
    Fill();
  }
  void Write(const std::vector<boost::asio::const_buffer>& buffers,
             std::function<void(boost::system::error_code)> done) override {
    misused = misused || write_done_ != nullptr;
    for (const auto& buffer : buffers) {
      written.append(static_cast<const char*>(buffer.data()), buffer.size());
    }
    write_done_ = std::move(done);
    if (takes_) Take(true);
  }
  void ShutdownSend() override { shut_down = true; }
  void Close() override {
    closed = true;
    Fill();
    EndWrite(boost::asio::error::operation_aborted);
  }

  // The client sends.
  void Receive(const std::string& bytes) {
    input_ += bytes;
    Fill();
  }
  // And sends no more.
  void End() {
    ended_ = true;
    Fill();
  }
  // Whether the client takes what is written, from now on.
  void Take(bool takes) {
    takes_ = takes;
    if (takes_) EndWrite({});
  }
  // What was sent and not read.
  size_t left() const { return input_.size(); }

  std::string written;
  bool shut_down = false;
  bool closed = false;
  bool misused = false;  // two reads, or writes, at a time

 private:
  void Fill() {
    if (read_done_ == nullptr) return;
    boost::system::error_code error;
    size_t size = 0;
    if (closed) {
      error = boost::asio::error::operation_aborted;
    } else if (!input_.empty()) {
      size = std::min(input_.size(), buffer_.size());
      std::memcpy(buffer_.data(), input_.data(), size);
      input_.erase(0, size);
    } else if (ended_) {
      error = boost::asio::error::eof;
    } else {
      return;
    }
    boost::asio::post(executor_, [done = std::exchange(read_done_, nullptr),
                                  error, size] { done(error, size); });
  }
  void EndWrite(boost::system::error_code error) {
    if (write_done_ == nullptr) return;
    boost::asio::post(executor_, [done = std::exchange(write_done_, nullptr),
                                  error] { done(error); });
  }

  const boost::asio::any_io_executor executor_;
  boost::asio::mutable_buffer buffer_;
  std::function<void(boost::system::error_code, size_t)> read_done_;
  std::function<void(boost::system::error_code)> write_done_;
  std::string input_;
  bool ended_ = false;
  bool takes_ = true;
};

}  // namespace serai::cri::streaming
