package answer

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"cordon/people"
)

// callerKey is where WithCaller keeps the connection of a request.
type callerKey struct{}

// WithCaller remembers the connection that requests come on, for Caller
// (http.Server.ConnContext).
func WithCaller(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, callerKey{}, conn)
}

// Caller is who asks for what no name is given with: who signed in, else the
// operating system's user at the other end of the control socket, this process's
// own where it speaks to itself, else the address.
func Caller(r *http.Request) string {
	if id := people.From(r.Context()); id.Name != "" && id.How != people.Socket {
		return id.Name
	}
	switch conn := r.Context().Value(callerKey{}).(type) {
	case *net.UnixConn:
		return peerOf(conn)
	case *net.TCPConn:
		return conn.RemoteAddr().String()
	}
	return userName(os.Getuid())
}

// peerOf is the user that opened the other end, as the kernel says (unix(7),
// SO_PEERCRED).
func peerOf(conn *net.UnixConn) string {
	raw, err := conn.SyscallConn()
	if err != nil {
		return "unknown"
	}
	name := "unknown"
	raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			name = userName(int(cred.Uid))
		}
	})
	return name
}

func userName(uid int) string {
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %s", id)
}
