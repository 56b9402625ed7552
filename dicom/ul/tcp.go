package ul

import (
	"crypto/tls"
	"net"
)

// socketBuffer is the size of a socket's receive and send buffers, in bytes.
const socketBuffer = 1 << 20

// tune sets up the TCP connection under nc for bulk data: no Nagle delay, large buffers. It returns what to call after
// each read, so that the peer's small segments are acknowledged at once, and what tells whether there is something to
// read; see acknowledge and arrival.
func tune(nc net.Conn) (ack func(), arrived func() bool) {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return func() {}, func() bool { return false }
	}
	t.SetNoDelay(true)
	t.SetReadBuffer(socketBuffer)
	t.SetWriteBuffer(socketBuffer)
	return acknowledge(t), arrival(t)
}
