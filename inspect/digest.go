package inspect

// wholeHash looks the object as a whole up in the hash list.
type wholeHash struct {
	hashes  HashList
	digests digests
	report  *report
}

func newWholeHash(l HashList, r *report) wholeHash {
	return wholeHash{hashes: l, digests: l.newDigests(), report: r}
}

func (w *wholeHash) write(p []byte) {
	if !w.digests.off() {
		w.digests.write(p)
	}
}

func (w *wholeHash) finish() {
	if w.digests.off() {
		return
	}
	if detail, listed := w.hashes.lookup(w.digests); listed {
		w.report.add("hash-listed", nil, 0, detail)
	}
}

// pieceDigest is the digest of one piece, with and without its last byte, which
// may be there only to make the length even. The zero value digests nothing.
type pieceDigest struct {
	digests digests
	last    [1]byte
	bytes   int64
}

// start begins a piece that is to be looked up in l, which holds something.
func (d *pieceDigest) start(l HashList) {
	if d.digests.off() {
		d.digests = l.newDigests()
	}
	d.digests.reset()
	d.bytes = 0
}

func (d *pieceDigest) write(p []byte) {
	if d.digests.off() || len(p) == 0 {
		return
	}
	if d.bytes > 0 {
		d.digests.write(d.last[:])
	}
	d.bytes += int64(len(p))
	d.digests.write(p[:len(p)-1])
	d.last[0] = p[len(p)-1]
}

func (d *pieceDigest) lookup(l HashList) (detail string, listed bool) {
	if d.digests.off() || d.bytes == 0 {
		return "", false
	}
	if d.last[0] == 0 || d.last[0] == ' ' {
		if detail, listed = l.lookup(d.digests); listed {
			return detail, true
		}
	}
	d.digests.write(d.last[:])
	return l.lookup(d.digests)
}
