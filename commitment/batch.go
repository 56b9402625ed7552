package commitment

import (
	"sync"

	"cordon/dicom"
)

// batch is the questions that go to an archive over one association, until each
// is answered: there, or on an association of the archive's own.
type batch struct {
	open    map[dicom.UID]bool
	settled chan struct{} // closed once none is open
}

// batches are those under way, by transaction UID.
type batches struct {
	mu sync.Mutex
	of map[dicom.UID]*batch
}

// begin makes a batch of the questions, of which there is one at least.
func (bs *batches) begin(questions []question) *batch {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	b := &batch{open: map[dicom.UID]bool{}, settled: make(chan struct{})}
	for _, q := range questions {
		b.open[q.action.TransactionUID] = true
		bs.of[q.action.TransactionUID] = b
	}
	return b
}

// settle notes that nothing more is to be expected of a transaction. Of one that
// is in no batch it is no news.
func (bs *batches) settle(transaction dicom.UID) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	b := bs.of[transaction]
	if b == nil {
		return
	}
	delete(bs.of, transaction)
	if delete(b.open, transaction); len(b.open) == 0 {
		close(b.settled)
	}
}

// end forgets a batch.
func (bs *batches) end(b *batch) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	for transaction := range b.open {
		delete(bs.of, transaction)
	}
}
