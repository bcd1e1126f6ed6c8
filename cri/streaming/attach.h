// SPDX-License-Identifier: Apache-2.0
#pragma once

// One attached client (channel.k8s.io, versions 1 to 5): the last lines of the
// container's console, then what it says, until the guest ends. A unikernel has
// one console, which is the client's stdout, and reads nothing: stdin is taken
// and forgotten, and so are a terminal's sizes.
//
// The next piece is asked for when the last one is on its way to the client: a
// slow one holds back nobody and loses what its shim can't keep, of which it is
// told.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cri/streaming/backend.h"
#include "cri/streaming/poster.h"
#include "cri/streaming/service.h"
#include "cri/streaming/token_cache.h"

namespace serai::cri::streaming {

class Attach final : public Service,
                     public std::enable_shared_from_this<Attach> {
 public:
  // `protocol` is the one that was negotiated. `backend` outlives it.
  Attach(const boost::asio::any_io_executor& executor, Backend& backend,
         std::shared_ptr<Poster> poster, AttachRequest request,
         const std::string& protocol);

  void Start(std::function<void()> finish) override;
  // Header: streamtype "error", "stdin", "stdout", "stderr" or "resize".
  void OnStream(std::shared_ptr<Stream> stream, uint32_t id,
                const spdy::Headers& headers) override;
  void OnClosed() override;

 private:
  std::shared_ptr<Stream>* StreamOf(absl::string_view type);
  bool AllThere() const;
  void Ask();
  void OnPiece(absl::StatusOr<ConsolePiece> piece);
  // The last piece is on its way, or nobody wants it any more.
  void OnTaken();
  void OnOutReset();
  void TellLoss(ConsolePiece& piece);
  void Finish(const absl::Status& status);

  Backend& backend_;
  const std::shared_ptr<Poster> poster_;
  const AttachRequest request_;
  const bool json_status_;
  const bool resizes_;
  boost::asio::steady_timer timer_;
  std::function<void()> finish_;

  std::shared_ptr<Stream> error_;
  std::shared_ptr<Stream> in_;
  std::shared_ptr<Stream> out_;
  std::shared_ptr<Stream> err_;
  std::shared_ptr<Stream> resize_;
  std::shared_ptr<const void> watch_;  // of the console, for its end
  uint64_t offset_ = 0;
  bool ended_ = false;    // the guest; the last piece was its end
  bool writing_ = false;  // a piece
  bool begun_ = false;
  bool closed_ = false;
};

}  // namespace serai::cri::streaming
