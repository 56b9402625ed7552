package main

import (
	"context"
	"crypto/sha256"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"cordon/dicom"
	"cordon/dicom/dimse"
	"cordon/dicom/ul"
)

// A sink is an archive that keeps nothing: it counts what arrives and hashes
// it. Its memory does not grow with what is sent, so it takes any object.
type sink struct {
	listener net.Listener
	objects  atomic.Int64
	unread   bool // nothing is hashed: it costs as little as it can

	mu   sync.Mutex
	last [sha256.Size]byte // digest of the last data set
}

const sinkTitle dicom.AETitle = "SINK"

// startSink listens until ctx ends; its goroutines end then too.
func startSink(ctx context.Context) (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{listener: l}
	context.AfterFunc(ctx, func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				_ = s.associate(ctx, nc) // how it went shows in the counts
			}()
		}
	}()
	return s, nil
}

func (s *sink) port() string { return strconv.Itoa(s.listener.Addr().(*net.TCPAddr).Port) }

func (s *sink) digest() [sha256.Size]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *sink) associate(ctx context.Context, nc net.Conn) error {
	indication, err := ul.Receive(ctx, nc, ul.Limits{})
	if err != nil {
		return err
	}
	association, err := indication.Accept(indication.Request.Respond(func(pc ul.ProposedContext) ul.AcceptedContext {
		return ul.AcceptedContext{TransferSyntax: pc.TransferSyntaxes[0]}
	}))
	if err != nil {
		return err
	}
	conn := dimse.NewConn(association)
	defer conn.Close()
	for {
		m, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		if m.Data != nil {
			if err := s.take(m.Data); err != nil {
				return err
			}
		}
		if err := conn.Respond(ctx, m, dimse.Command{}, nil); err != nil {
			return err
		}
	}
}

func (s *sink) take(data io.Reader) error {
	if s.unread {
		_, err := io.Copy(io.Discard, data)
		s.objects.Add(1)
		return err
	}
	digest := sha256.New()
	if _, err := io.Copy(digest, data); err != nil {
		return err
	}
	s.mu.Lock()
	digest.Sum(s.last[:0])
	s.mu.Unlock()
	s.objects.Add(1)
	return nil
}
