package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"cordon/store"
)

// load reads what was written before. Rows that cannot be read are an error: nobody
// else writes them.
func (w *Watch) load(ctx context.Context) error {
	if w.parts.DB == nil {
		return nil
	}
	old := time.Now().AddDate(0, 0, -keptRows).UnixMicro()
	err := w.parts.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`DELETE FROM network_seen WHERE last < ?`, old)
		return err
	})
	if err != nil {
		return fmt.Errorf("what was seen on the network: %w", err)
	}
	err = w.parts.DB.View(ctx, func(tx *store.Tx) error {
		if err := w.loadRows(tx); err != nil {
			return err
		}
		if err := w.loadSince(tx); err != nil {
			return err
		}
		return w.loadCards(tx)
	})
	if err != nil {
		return fmt.Errorf("what was seen on the network: %w", err)
	}
	return nil
}

func (w *Watch) loadRows(tx *store.Tx) error {
	rows, err := tx.Query(`SELECT src, dst, protocol, port, first, last, packets, bytes, attempts, established, accused FROM network_seen ORDER BY last DESC LIMIT ?`, maxRows)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var src, dst string
		var first, last, packets, bytes, attempts, established int64
		r := &row{written: true}
		var k pairing
		if err := rows.Scan(&src, &dst, &k.protocol, &k.port, &first, &last, &packets, &bytes, &attempts, &established, &r.accused); err != nil {
			return err
		}
		if k.src, err = netip.ParseAddr(src); err != nil {
			return err
		}
		if k.dst, err = netip.ParseAddr(dst); err != nil {
			return err
		}
		r.first, r.last = time.UnixMicro(first), time.UnixMicro(last)
		r.packets, r.bytes, r.attempts, r.established = uint64(packets), uint64(bytes), uint64(attempts), uint64(established)
		if w.rows[k.src] == nil {
			w.rows[k.src] = map[pairing]*row{}
		}
		w.rows[k.src][k] = r
		w.rowCount++
	}
	return rows.Err()
}

func (w *Watch) loadSince(tx *store.Tx) error {
	rows, err := tx.Query(`SELECT name, first FROM network_device`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var first int64
		if err := rows.Scan(&name, &first); err != nil {
			return err
		}
		w.since[name] = time.UnixMicro(first)
	}
	return rows.Err()
}

func (w *Watch) loadCards(tx *store.Tx) error {
	rows, err := tx.Query(`SELECT address, mac, heard FROM network_card LIMIT ?`, maxCards)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var address, mac string
		var heard int64
		if err := rows.Scan(&address, &mac, &heard); err != nil {
			return err
		}
		a, err := netip.ParseAddr(address)
		if err != nil {
			return err
		}
		m, err := ParseMAC(mac)
		if err != nil {
			return err
		}
		w.cards[a] = card{mac: m, heard: time.UnixMicro(heard)}
	}
	return rows.Err()
}

// ParseMAC reads a hardware address of six bytes, such as 00:1b:21:aa:bb:cc.
func ParseMAC(s string) (m MAC, err error) {
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != len(m) {
		return m, fmt.Errorf("%q is no hardware address; write 00:1b:21:aa:bb:cc", s)
	}
	copy(m[:], hw)
	return m, nil
}
