package ul

import (
	"crypto/tls"
	"net"
)

// socketBuffer is the size of a socket's receive and send buffers, in bytes.
const socketBuffer = 1 << 20

// tune sets up the TCP connection under nc for bulk data: no Nagle delay, large buffers. It returns what to call after
// each read, so that the peer's small segments are acknowledged at once; see acknowledge.
func tune(nc net.Conn) func() {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return func() {}
	}
	t.SetNoDelay(true)
	t.SetReadBuffer(socketBuffer)
	t.SetWriteBuffer(socketBuffer)
	return acknowledge(t)
}
