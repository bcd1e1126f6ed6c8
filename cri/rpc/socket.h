// SPDX-License-Identifier: Apache-2.0
#pragma once

// gRPC on unix sockets, with the same limits everywhere: what passes from one
// server to a client of another must fit all the way.

#include <grpcpp/channel.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>

namespace serai::cri {

// The most that kubelet's client takes, and that containerd takes.
inline constexpr int kMaxMessageBytes = 16 << 20;
// An error's message travels as metadata, and containerd's tell all that a
// program has printed before it failed. gRPC takes 8 KiB unless it is told, and
// drops the error's code with the rest.
inline constexpr int kMaxMetadataBytes = 1 << 20;

// The channel to the server at a unix socket: tries again by itself while
// nobody listens, every second at the latest.
std::shared_ptr<grpc::Channel> SocketChannel(const std::string& socket);

// Has the server take and send as much.
void SetLimits(grpc::ServerBuilder& builder);

}  // namespace serai::cri
