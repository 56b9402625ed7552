//go:build !linux

package ul

import "net"

// acknowledge has nothing to do where delayed acknowledgements cannot be switched off for one socket.
func acknowledge(*net.TCPConn) func() { return func() {} }

// arrival has no way to tell: what came is met by the next read.
func arrival(*net.TCPConn) func() bool { return func() bool { return false } }
