// Package tail reads lines of a file as they are appended, and goes on with the next
// file when the old one is moved away (rotated) or cut short.
//
//	err := tail.Follow(ctx, "/var/log/suricata/eve.json", tail.Options{}, func(line []byte) { … })
//
// It looks a few times a second instead of asking the kernel to be told, so that it
// works on every file system. Lines are bounded: a longer one is left out and counted.
// What is in the file when it begins is left out, unless asked for; what is written
// between two looks to a file that is then moved away is read to its end.
package tail

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// Options of Follow; the zero value means the defaults.
type Options struct {
	Poll  time.Duration // between two looks; 100 ms
	Max   int           // bytes of a line; 64 KiB
	Whole bool          // begin with what is in the file
	Head  byte          // lines at the beginning of a file that begin with it are read in any case; 0: none
	Long  func()        // called for each line that is too long; may be nil
	State func(error)   // called when the file cannot be read, and with nil when it can again; may be nil
}

const (
	defaultPoll = 100 * time.Millisecond
	defaultMax  = 64 << 10
)

// Follow calls line for each whole line, without its end, until ctx ends. The line is
// only good until line returns. A file that is not there yet is waited for.
func Follow(ctx context.Context, path string, o Options, line func([]byte)) error {
	f := &follower{path: path, options: o.defaults(), line: line}
	defer f.close()
	tick := time.NewTicker(f.options.Poll)
	defer tick.Stop()
	f.look(!o.Whole)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.look(false) // a file that appears now is new
		}
	}
}

func (o Options) defaults() Options {
	if o.Poll == 0 {
		o.Poll = defaultPoll
	}
	if o.Max == 0 {
		o.Max = defaultMax
	}
	return o
}

// follower reads one path.
type follower struct {
	path    string
	options Options
	line    func([]byte)

	file  *os.File
	info  fs.FileInfo
	read  int64 // bytes of file
	lines *Lines
	bad   bool // State was told of an error
}

// look reads what is new, and goes on with the next file if there is one. atEnd: what is
// there already is left out.
func (f *follower) look(atEnd bool) {
	if f.file != nil {
		f.drain()
		info, err := os.Stat(f.path)
		if err == nil && os.SameFile(info, f.info) && info.Size() >= f.read {
			return
		}
		if errors.Is(err, fs.ErrNotExist) {
			return // moved away, and the next is not there yet: more may come into the old one
		}
		f.drain() // what came between
		f.close()
		atEnd = false
	}
	if err := f.open(atEnd); err != nil {
		f.close()
		f.tell(err)
		return
	}
	f.drain()
}

func (f *follower) tell(err error) {
	if f.options.State != nil && (err != nil) != f.bad {
		f.options.State(err)
	}
	f.bad = err != nil
}

func (f *follower) open(atEnd bool) (err error) {
	if f.file, err = os.Open(f.path); err != nil {
		return err
	}
	if f.info, err = f.file.Stat(); err != nil {
		return err
	}
	if !f.info.Mode().IsRegular() {
		return errors.New(f.path + " is no regular file; for a pipe or socket write its kind")
	}
	f.read = 0
	f.lines = NewLines(f.options.Max, f.line, f.options.Long)
	if atEnd {
		return f.skip()
	}
	return nil
}

// skip goes to the end of the file, reading the lines of its head. Of a line that is
// being written the rest is left out.
func (f *follower) skip() error {
	if f.options.Head != 0 {
		head := make([]byte, f.options.Max)
		n, err := io.ReadFull(f.file, head)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		for rest := head[:n]; len(rest) > 0 && rest[0] == f.options.Head; {
			line, more, ok := bytes.Cut(rest, []byte{'\n'})
			if !ok {
				break
			}
			f.line(line)
			rest = more
		}
	}
	end, err := f.file.Seek(0, io.SeekEnd)
	f.read = end
	if err == nil && end > 0 {
		last := make([]byte, 1)
		if _, err = f.file.ReadAt(last, end-1); err == nil && last[0] != '\n' {
			f.lines.skip = true
		}
	}
	return err
}

// drain reads to the end of what there is.
func (f *follower) drain() {
	n, err := io.Copy(f.lines, f.file)
	f.read += n
	f.tell(err)
}

func (f *follower) close() {
	if f.file != nil {
		f.file.Close()
	}
	f.file = nil
}

// Lines is a writer that takes text apart into lines.
type Lines struct {
	most int
	line func([]byte)
	long func()
	held []byte
	skip bool // the rest of a line that is too long, or was not read from its beginning
}

// NewLines returns a writer that calls line for each whole line of at most so many
// bytes, and long, if it is not nil, for each longer one.
func NewLines(most int, line func([]byte), long func()) *Lines {
	return &Lines{most: most, line: line, long: long}
}

// Write takes the next bytes. It fails never.
func (l *Lines) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		part, rest, ended := bytes.Cut(b, []byte{'\n'})
		l.add(part)
		if ended {
			l.end()
		}
		b = rest
	}
	return n, nil
}

func (l *Lines) add(part []byte) {
	if l.skip {
		return
	}
	if len(l.held)+len(part) > l.most {
		l.held, l.skip = l.held[:0], true
		if l.long != nil {
			l.long()
		}
		return
	}
	l.held = append(l.held, part...)
}

func (l *Lines) end() {
	if !l.skip && len(bytes.TrimSpace(l.held)) > 0 {
		l.line(bytes.TrimSuffix(l.held, []byte{'\r'}))
	}
	l.held, l.skip = l.held[:0], false
}

// Close ends the last line, if it has no end of its own.
func (l *Lines) Close() { l.end() }
