package custody_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"cordon/custody"
)

// roomy is the site with memory that all buffers share.
func roomy(t testing.TB, shared int) site {
	t.Helper()
	s := open(t, t.TempDir())
	c, err := custody.Open(t.Context(), s.db, s.dir, s.l, custody.Options{Memory: testMemory, Shared: shared})
	if err != nil {
		t.Fatal(err)
	}
	s.c = c
	return s
}

// fill writes data in pieces of an odd length.
func fill(t testing.TB, b *custody.Buffer, data []byte) {
	t.Helper()
	for p := range slices.Chunk(data, 30_001) {
		if _, err := b.Write(p); err != nil {
			t.Fatal(err)
		}
	}
}

func readAll(t testing.TB, b *custody.Buffer) ([]byte, error) {
	t.Helper()
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return io.ReadAll(r)
}

// Wherever a buffer's bytes are, they are those that were written, their digest is
// theirs, and they can be kept.
func TestContentIsWhatWasWritten(t *testing.T) {
	s := roomy(t, 2*custody.Segment)
	const inMemory = testMemory + 2*custody.Segment
	for _, size := range []int{
		0, 1, testMemory, testMemory + 1, testMemory + custody.Segment, inMemory, inMemory + 1,
		inMemory + custody.ScratchBlock, inMemory + custody.ScratchBlock + 1, inMemory + 5*custody.ScratchBlock - 1,
	} {
		for name, begin := range map[string]func() *custody.Buffer{"object": s.c.NewBuffer, "spill": s.c.NewSpill, "pile": s.c.NewPile} {
			data := noise(size)
			b := begin()
			fill(t, b, data)
			if got, err := readAll(t, b); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s of %d bytes: %d read back, %v", name, size, len(got), err)
			}
			if sum, err := b.SHA256(); err != nil || sum != sha256.Sum256(data) {
				t.Errorf("%s of %d bytes: digest, %v", name, size, err)
			}
			o, err := s.c.Keep(t.Context(), b, spooled("1"))
			if err != nil {
				t.Fatal(err)
			}
			b.Discard()
			if got, err := s.read(t, o.ID); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s of %d bytes: %d kept, %v", name, size, len(got), err)
			}
			if left := s.c.SharedLeft(); left != 2*custody.Segment {
				t.Fatalf("%s of %d bytes: %d bytes of the shared memory are left", name, size, left)
			}
		}
	}
}

// A scratch file that is not what was written is not read to its end, nor kept.
func TestChangedScratchFileIsNoticed(t *testing.T) {
	const sealed = custody.ScratchBlock + 16
	for name, change := range map[string]func(f *os.File){
		"a bit": func(f *os.File) {
			p := make([]byte, 1)
			f.ReadAt(p, sealed+100)
			p[0] ^= 1
			f.WriteAt(p, sealed+100)
		},
		"the last block cut off": func(f *os.File) { f.Truncate(2 * sealed) },
		"two blocks exchanged": func(f *os.File) {
			one, other := make([]byte, sealed), make([]byte, sealed)
			f.ReadAt(one, 0)
			f.ReadAt(other, sealed)
			f.WriteAt(other, 0)
			f.WriteAt(one, sealed)
		},
		"a block of another object": func(f *os.File) { f.WriteAt(noise(sealed), 0) },
	} {
		s := open(t, t.TempDir())
		b := s.c.NewBuffer()
		data := noise(testMemory + 3*custody.ScratchBlock)
		fill(t, b, data)
		if _, err := b.SHA256(); err != nil {
			t.Fatal(err)
		}
		change(b.Scratch())
		if got, err := readAll(t, b); !errors.Is(err, custody.ErrDamaged) || len(got) == len(data) || !bytes.HasPrefix(data, got) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if _, err := s.c.Keep(t.Context(), b, spooled("1")); !errors.Is(err, custody.ErrDamaged) {
			t.Errorf("%s: kept, %v", name, err)
		}
		b.Discard()
		if spill, objects := s.files(t); spill+objects != 0 {
			t.Errorf("%s: left behind: %d, %d", name, spill, objects)
		}
	}
}

// Together buffers take no more than the memory that there is for all, one by
// itself no more than its part, and give it back when nobody reads it any more.
func TestSharedMemoryIsBounded(t *testing.T) {
	const shared = custody.MostShared + 4*custody.Segment
	s := roomy(t, shared)
	data := noise(custody.MostShared + 2*custody.Segment)
	first := s.c.NewBuffer()
	fill(t, first, data)
	if left := s.c.SharedLeft(); left != shared-custody.MostShared || first.Scratch() == nil {
		t.Errorf("one buffer leaves %d bytes", left)
	}
	var others []*custody.Buffer
	for range 8 {
		b := s.c.NewBuffer()
		fill(t, b, data[:testMemory+custody.Segment])
		others = append(others, b)
	}
	if left := s.c.SharedLeft(); left != 0 || others[3].Scratch() != nil || others[4].Scratch() == nil {
		t.Errorf("eight more leave %d bytes", left)
	}
	r, err := first.Open()
	if err != nil {
		t.Fatal(err)
	}
	first.Discard()
	for _, b := range others {
		b.Discard()
		b.Discard()
	}
	if left := s.c.SharedLeft(); left != shared-custody.MostShared {
		t.Errorf("%d bytes are left while somebody reads the first", left)
	}
	s.c.GiveBack()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	r.Close()
	r.Close()
	if left := s.c.SharedLeft(); left != shared {
		t.Errorf("%d bytes are left at the end", left)
	}
}

// Nobody reads what a buffer's memory holds after it.
func TestClosedReaderReadsNothing(t *testing.T) {
	s := roomy(t, 4*custody.Segment)
	b := s.c.NewBuffer()
	fill(t, b, noise(4*custody.Segment))
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	b.Discard()
	r.Close()
	if n, err := r.Read(make([]byte, 10)); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if n, err := io.Copy(io.Discard, r); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("%d bytes, %v", n, err)
	}
}
