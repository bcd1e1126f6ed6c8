// SPDX-License-Identifier: Apache-2.0
#pragma once

// The socket on which a debugger comes.

#include "tender/gdb/session.h"
#include "tender/options.h"

namespace serai::tender::gdb {

// Listens where `options` say; ends the process where that can't be.
int Listen(const GdbOptions& options);

class Connection final : public Stream {
 public:
  // Listens, where nobody does yet.
  explicit Connection(const GdbOptions& options);

  // Waits for the debugger, the only one there will be, and listens no more.
  // From here on SIGIO comes to this process with whatever it sends.
  void Accept();

  int fd() const { return fd_; }
  ssize_t Read(std::span<uint8_t> to, bool wait) override;
  bool Write(std::string_view bytes) override;
  // The debugger is told nothing more.
  void Close();

 private:
  const GdbOptions& options_;
  int listener_;
  int fd_ = -1;
};

}  // namespace serai::tender::gdb
