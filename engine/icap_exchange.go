package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

// errClosed: the server closed the connection, and had not said anything about the piece.
var errClosed = errors.New("the ICAP server closed the connection before it answered")

// exchange is one piece on its way to the server. The first part of it is in memory, so that it can be sent again.
type exchange struct {
	options   options
	uri, host string
	head      []byte // the first bytes of the piece
	rest      *piece // what follows them
	bodyLimit int64  // bytes of a modified body that are read

	digest hash.Hash // of what was sent
	bytes  int64     // that were sent
	whole  bool      // whether everything was sent
}

// repeatable reports whether the piece can be sent from its beginning: nothing beyond its head was read, nor will be before
// the server speaks.
func (x *exchange) repeatable() bool {
	return x.rest.taken == int64(len(x.head)) && (x.rest.ended || x.options.preview >= 0)
}

// run sends the piece, in two steps if the service wants a preview (RFC 3507 §4.5), and reads the verdict.
func (x *exchange) run(ctx context.Context, c *icapConn) (verdict, error) {
	x.digest, x.bytes, x.whole = sha256.New(), 0, false
	a, err := x.converse(c)
	if err == nil {
		err = a.err
	}
	switch {
	case errors.Is(err, errTooLarge), errors.Is(err, errPartial), errors.Is(err, errUnreadable):
		return verdict{}, err
	case err != nil && !a.hit():
		return verdict{}, reason(ctx, "asking the ICAP server", err)
	}
	return x.judge(a), nil
}

// converse returns the server's final answer.
func (x *exchange) converse(c *icapConn) (answer, error) {
	x.writeHeader(c)
	unsent := x.head
	if x.options.preview >= 0 {
		n := min(x.options.preview, len(x.head))
		x.whole = x.rest.ended && n == len(x.head)
		x.writeChunk(c, x.head[:n])
		if x.whole {
			io.WriteString(c.out, "0; ieof\r\n\r\n")
		} else {
			io.WriteString(c.out, "0\r\n\r\n")
		}
		sent := c.out.Flush()
		a := c.readAnswer(x.bodyLimit)
		if a.err != nil && sent != nil {
			return a, errClosed
		}
		if a.status != 100 || a.err != nil || x.whole {
			return a, nil
		}
		unsent = x.head[n:]
	}
	return x.finish(c, unsent)
}

// finish sends what is unsent and then the rest, and returns the final answer. A second goroutine reads the answer
// meanwhile, since a server may begin to answer before it has everything and wait until that is read. It ends when the
// answer does, or with the connection, at the latest when the context ends; finish waits for it.
func (x *exchange) finish(c *icapConn, unsent []byte) (answer, error) {
	answers := make(chan answer, 1)
	go func() { answers <- c.readAnswer(x.bodyLimit) }()
	early, err := x.send(c, unsent, answers)
	switch {
	case early != nil:
		return *early, nil
	case errors.Is(err, errTooLarge), errors.Is(err, errPartial), errors.Is(err, errUnreadable):
		c.conn.Close()
		<-answers
		return answer{}, err
	}
	a := <-answers
	if a.err != nil && err != nil {
		return a, errClosed
	}
	return a, nil
}

// send writes chunks until the piece ends, the connection does, or the server has answered early.
func (x *exchange) send(c *icapConn, unsent []byte, answers <-chan answer) (early *answer, err error) {
	x.writeChunk(c, unsent)
	block := make([]byte, headBytes)
	for !x.rest.ended {
		n, err := x.rest.fill(block)
		if err != nil {
			return nil, err
		}
		select {
		case a := <-answers:
			return &a, nil
		default:
		}
		if err := x.writeChunk(c, block[:n]); err != nil {
			return nil, err
		}
	}
	io.WriteString(c.out, "0\r\n\r\n")
	err = c.out.Flush()
	x.whole = err == nil
	return nil, err
}

// writeHeader writes the header of the request: ICAP's own, then that of an HTTP message that carries the piece
// (RFC 3507 §4.4.1).
func (x *exchange) writeHeader(c *icapConn) {
	request := "GET http://cordon.invalid/piece HTTP/1.1\r\nHost: cordon.invalid\r\n\r\n"
	response := "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n"
	encapsulated := fmt.Sprintf("req-hdr=0, res-hdr=%d, res-body=%d", len(request), len(request)+len(response))
	if x.options.method == "REQMOD" {
		request = strings.Replace(request, "GET", "PUT", 1)
		response = ""
		encapsulated = fmt.Sprintf("req-hdr=0, req-body=%d", len(request))
	}
	fmt.Fprintf(c.out, "%s %s ICAP/1.0\r\nHost: %s\r\nUser-Agent: Cordon\r\nAllow: 204\r\n", x.options.method, x.uri, x.host)
	if x.options.preview >= 0 {
		fmt.Fprintf(c.out, "Preview: %d\r\n", min(x.options.preview, len(x.head)))
	}
	fmt.Fprintf(c.out, "Encapsulated: %s\r\n\r\n%s%s", encapsulated, request, response)
}

// writeChunk writes one chunk of the body; nothing if it is empty, since that would end the body.
func (x *exchange) writeChunk(c *icapConn, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	x.digest.Write(p)
	x.bytes += int64(len(p))
	fmt.Fprintf(c.out, "%x\r\n", len(p))
	c.out.Write(p)
	_, err := io.WriteString(c.out, "\r\n")
	return err
}
