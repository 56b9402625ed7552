package dicom

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"io"
	"iter"
)

// inflateChunk is the size in bytes of the pieces in which inflated data is parsed.
const inflateChunk = 32 << 10

// inflater turns compress/flate, which pulls, into something that is pushed: flate runs in a
// coroutine, which pauses where it needs input and where it has output. Whoever makes one
// ends it by close; the coroutine ends with it.
type inflater struct {
	next  func() ([]byte, bool)
	stop  func()
	yield func([]byte) bool
	in    []byte // received and not yet consumed
	ended bool   // no more input will come
	out   int64  // bytes inflated so far
	crc   uint32 // their CRC-32
	err   error  // once done: nil at the end of the stream
}

func newInflater() *inflater {
	z := new(inflater)
	z.next, z.stop = iter.Pull(z.run)
	return z
}

// run is the coroutine. It yields output, or nothing where it needs input.
func (z *inflater) run(yield func([]byte) bool) {
	z.yield = yield
	r := flate.NewReader(z)
	buf := make([]byte, inflateChunk)
	for {
		n, err := r.Read(buf)
		if n > 0 && !yield(buf[:n]) {
			return
		}
		if err != nil {
			if err != io.EOF {
				z.err = err
			}
			return
		}
	}
}

// ReadByte gives flate its next byte, so that it takes none beyond the end of its stream.
func (z *inflater) ReadByte() (byte, error) {
	for len(z.in) == 0 {
		if z.ended || !z.yield(nil) {
			z.ended = true
			return 0, io.ErrUnexpectedEOF
		}
	}
	c := z.in[0]
	z.in = z.in[1:]
	return c, nil
}

// Read gives flate the content of stored blocks.
func (z *inflater) Read(p []byte) (int, error) {
	c, err := z.ReadByte()
	if err != nil || len(p) == 0 {
		return 0, err
	}
	p[0] = c
	n := copy(p[1:], z.in)
	z.in = z.in[n:]
	return n + 1, nil
}

// push inflates p and passes what comes out to use, until that answers false. It tells how
// many bytes of p it consumed, and whether the stream is done: at its end, or with z.err.
func (z *inflater) push(p []byte, use func([]byte) bool) (consumed int, done bool) {
	z.in = p
	for {
		b, ok := z.next()
		switch {
		case !ok:
			return len(p) - len(z.in), true
		case len(b) == 0:
			return len(p), false
		}
		z.out += int64(len(b))
		z.crc = crc32.Update(z.crc, crc32.IEEETable, b)
		if !use(b) {
			return len(p) - len(z.in), false
		}
	}
}

// close ends the coroutine.
func (z *inflater) close() {
	z.stop()
	z.in = nil
}

// inflate reads deflated bytes; nil says that no more will come.
func (d *Decoder) inflate(p []byte) {
	z := d.inflater
	if !d.inflated {
		d.beginInflated()
	}
	if d.inflater == nil { // what was held was all of it
		d.parse(p)
		return
	}
	z.ended = p == nil
	over := AnomalyCode("")
	start := d.rawOffset
	consumed, done := z.push(p, func(b []byte) bool {
		d.parse(b)
		over = d.overInflated(start + int64(len(p)-len(z.in)))
		return over == ""
	})
	d.rawOffset += int64(consumed)
	switch {
	case over != "":
		d.endInflated(over, count(z.out)+" bytes inflated")
	case done && z.err == io.ErrUnexpectedEOF:
		d.endInflated(AnomalyTruncated, "the deflate stream does not end")
	case done && z.err != nil:
		d.endInflated(AnomalyInflate, "corrupt after "+count(z.out)+" bytes inflated")
	case done:
		d.endInflated("", "")
	default:
		return
	}
	if len(p) > consumed {
		d.parse(p[consumed:])
	}
}

// beginInflated turns to the inflated stream, which starts with what was gathered in the hope of a header.
func (d *Decoder) beginInflated() {
	var held [longHeader]byte
	n := copy(held[:], d.head[:d.have])
	d.rawStart = d.offset - int64(n)
	d.rawOffset = d.rawStart
	d.offset, d.have, d.inflated = 0, 0, true
	if n > 0 {
		d.inflate(held[:n])
	}
}

// overInflated tells which limit the inflated stream has met, if any; raw is how far the input is consumed.
func (d *Decoder) overInflated(raw int64) AnomalyCode {
	out := d.inflater.out
	switch {
	case out > d.limits.InflateBytes:
		return AnomalyInflateLimit
	case out > d.limits.InflateFree && out/d.limits.InflateRatio > raw-d.rawStart:
		return AnomalyInflateRatio
	}
	return ""
}

// endInflated ends the inflated data set, as it should (code is empty) or before its time.
// What follows it is counted in bytes of the input again.
func (d *Decoder) endInflated(code AnomalyCode, detail string) {
	d.inflater.close()
	if code != "" {
		d.visitor.Anomaly(d.innermost(), Anomaly{Code: code, Fatal: true, Offset: d.offset, Detail: detail})
	}
	d.finish(code == "")
	if code != "" {
		d.after = KindUnparsed
	}
	d.checksum = d.inflater.sum()
	d.inflater, d.inflated = nil, false
	d.offset = d.rawOffset
}

// beginAfter begins what follows a deflate stream. A null that makes the length of the stream
// even is nothing odd (PS3.5 §A.5). Nor is a gzip trailer (RFC 1952 §2.3.1) that some writers
// leave, if it is true. Bytes that may be one or the other are held back until that is certain.
func (d *Decoder) beginAfter(p []byte) []byte {
	if d.after == KindUnparsed {
		d.beginRest(KindUnparsed, Anomaly{})
		return p
	}
	d.head[d.have] = p[0]
	d.have++
	d.offset++
	held := d.head[:d.have]
	if !bytes.HasPrefix(d.checksum[:], held) && !(d.have == 1 && held[0] == 0) {
		d.beginRest(KindTrailer, Anomaly{Code: AnomalyTrailingBytes, Detail: "after the deflate stream"})
	}
	return p[1:]
}

// finishAfter ends what follows a deflate stream, where it may have been held back until now.
func (d *Decoder) finishAfter() {
	if d.have == 0 {
		return
	}
	a := Anomaly{}
	if d.have > 1 && d.have < gzipTrailer {
		a = Anomaly{Code: AnomalyTrailingBytes, Detail: "after the deflate stream"}
	}
	d.beginRest(KindTrailer, a)
}

// gzipTrailer is the length in bytes of a gzip trailer: CRC-32 and length of the inflated data.
const gzipTrailer = 8

// sum is the gzip trailer of what has been inflated, and a null to make its length even.
func (z *inflater) sum() (s [gzipTrailer + 1]byte) {
	binary.LittleEndian.PutUint32(s[:], z.crc)
	binary.LittleEndian.PutUint32(s[4:], uint32(z.out))
	return s
}
