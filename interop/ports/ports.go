// Package ports hands out TCP ports to tests that have to name one before anything listens on it.
//
//	listen := fmt.Sprintf("127.0.0.1:%d", ports.Free(t))
//
// Each is handed out once in a process: of random ones two would now and then be the same, and a program of one test
// would have another's address.
package ports

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
)

// They are not ports that the kernel gives to those who call somebody (32768 and above): a program that is killed would
// not always get one back.
const (
	lowest = 20000
	count  = 12000
)

var (
	first = rand.IntN(count) // other tests of this machine begin elsewhere
	taken atomic.Int64
)

// Free returns a port on which nothing of this machine listens now.
func Free(t testing.TB) int {
	t.Helper()
	for range count {
		port := lowest + (first+int(taken.Add(1)))%count
		if l, err := net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}
