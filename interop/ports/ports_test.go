package ports

import (
	"fmt"
	"net"
	"testing"
)

func TestNoPortIsHandedOutTwice(t *testing.T) {
	handed := map[int]bool{}
	for range 1000 {
		port := Free(t)
		if port < lowest || port >= lowest+count {
			t.Fatalf("%d is not below those that the kernel gives away", port)
		}
		if handed[port] {
			t.Fatalf("%d was handed out before", port)
		}
		handed[port] = true
	}
}

func TestPortInUseIsPassedOver(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "127.77.0.1", ""} {
		next := lowest + (first+int(taken.Load())+1)%count
		l, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(next)))
		if err != nil {
			continue // somebody else's
		}
		if got := Free(t); got == next {
			t.Errorf("%d is handed out while %q listens on it", got, host)
		}
		l.Close()
	}
}
