package atna

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"
)

// Network is how a target is reached.
type Network string

const (
	TLS  Network = "tls"  // a stream: RFC 5425, or lines of JSON
	UDP  Network = "udp"  // datagrams: nobody knows whether they arrive
	File Network = "file" // lines of JSON on this machine
)

// Format is what a target is sent.
type Format string

const (
	Syslog Format = "syslog" // audit messages
	ECS    Format = "ecs"    // JSON, one object a record
)

// Target is one audit repository.
type Target struct {
	Network Network
	Format  Format
	Address string             // host:port, or the path of a file
	TLS     func() *tls.Config // asked for each connection, so that a renewed certificate is used
	BOM     bool               // of syslog: MSG begins with a byte order mark
	Size    int64              // of a file, in bytes, before it is rotated
	Keep    int                // of a file: how many older ones are kept
}

// Name is how people and the durable cursor call the target. A target that is
// taken out of the configuration and put back goes on where it stopped.
func (t Target) Name() string { return string(t.Network) + "://" + t.Address }

// dial begins a session.
func (t Target) dial(ctx context.Context) (carrier, error) {
	switch t.Network {
	case TLS:
		return dialStream(ctx, t.Address, t.TLS())
	case UDP:
		return dialDatagrams(ctx, t.Address)
	case File:
		return openFile(t.Address, t.Size, t.Keep)
	}
	return nil, fmt.Errorf("%q is no network", t.Network)
}

// gather is how long records come together before they are read, so that few
// reads fetch many, and a file, on a disk that images need too, is synced seldom.
func (t Target) gather() time.Duration {
	if t.Network == File {
		return 2 * time.Second
	}
	return 500 * time.Millisecond
}

// frame makes what goes over the wire of one message.
func (t Target) frame(message []byte) []byte {
	switch {
	case t.Format == ECS && t.Network != UDP:
		return line(message)
	case t.Network == TLS:
		return octetCounted(message)
	}
	return bare(message)
}

// Timing is when things are done; the zero value means the defaults given here.
type Timing struct {
	// Renew is how long a session lasts at the most while something was sent that
	// nobody is known to have read; 30 s. Then it is ended in order, which tells.
	Renew time.Duration
	// Settle is how long what was read must then have stayed unbroken before it
	// counts as kept: programs keep what they have read in memory for a while; 10 s.
	Settle   time.Duration
	Finish   time.Duration // for the repository to read on, and to close its side; 10 s
	RetryMin time.Duration // before the first new attempt; 1 s
	RetryMax time.Duration // between two, at the most; 1 min
	Alarm    time.Duration // without a repository, or behind, before people are told; 2 min
	Drain    time.Duration // for what is left when Cordon stops; 3 s
}

func (t Timing) withDefaults() Timing {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Renew, 30 * time.Second},
		{&t.Settle, 10 * time.Second},
		{&t.Finish, 10 * time.Second},
		{&t.RetryMin, time.Second},
		{&t.RetryMax, time.Minute},
		{&t.Alarm, 2 * time.Minute},
		{&t.Drain, 3 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return t
}
