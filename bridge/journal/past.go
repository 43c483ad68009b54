package journal

import (
	"bytes"

	"supernats/bridge/boot"
	"supernats/bridge/eventlistener"
	"supernats/bridge/ledger"
	"supernats/bridge/proctable"
	"supernats/bridge/record"
	"supernats/bridge/spool"
	"supernats/schema"
)

// past is what the last records in a spool say of the run that appended them. All
// records of a segment are of one run.
type past struct {
	account *ledger.History
	table   *proctable.Table // is given the events; nil in a spool that is not ours
}

// newPast returns one without records.
func newPast() *past { return &past{account: new(ledger.History)} }

// addRecord takes the records in their order.
func (p *past) addRecord(number uint64, rec []byte) {
	view, ok := record.Parse(rec)
	if !ok {
		return
	}
	entry := ledger.Record{
		Number: number, Boot: view.Boot, Header: view.Header,
		Message: view.IsMessage(), Loss: reportedLoss(view),
	}
	header, err := eventlistener.ParseHeader(view.Header)
	if err == nil {
		event := ledgerEvent(&header)
		entry.Event = &event
	}

	added := p.account.Record(entry)
	if p.table == nil {
		return
	}
	if added && view.IsEvent() {
		at, _ := record.Time(rec)
		payload, _ := record.CutFacts(&header, view.Body)
		p.table.Event(tableEvent(p.account.BootID(), &header, payload, at))
	}
	if entry.Loss != nil && entry.Loss.Cause == ledger.CauseNotListening {
		p.table.Forget()
	}
}

// reportedLoss is what a record reports as lost; nil is nothing.
func reportedLoss(view record.View) *schema.Loss {
	if !view.IsMessage() {
		return nil
	}
	subject, json := view.Message()
	isOurs := bytes.HasPrefix(subject, []byte(schema.BridgePrefix))
	if !isOurs || !bytes.HasSuffix(subject, []byte("."+schema.BridgeLoss)) {
		return nil
	}

	envelope, err := schema.Unmarshal[*schema.Loss](json)
	if err != nil {
		return nil
	}
	return envelope.Data
}

// addLeft takes what else the spool knows of the run.
func (p *past) addLeft(left spool.Left) {
	if left.Damaged {
		p.account.Damage()
	}
	if len(left.Place) > record.BootSize {
		boot, header := left.Place[:record.BootSize], left.Place[record.BootSize:]
		if h, err := eventlistener.ParseHeader(header); err == nil {
			p.account.Stand(boot, header, ledgerEvent(&h))
		}
	}
	p.account.LostInMemory(left.Memory)
}

// bootPast is what the spool says of the supervisord that the run listened to.
func (p *past) bootPast() boot.Past {
	past := boot.Past{Known: len(p.account.Boot()) == record.BootSize, Damaged: p.account.Damaged()}
	if !past.Known {
		return past
	}
	past.ID = boot.ID(p.account.Boot())
	if h, err := eventlistener.ParseHeader(p.account.Header()); err == nil {
		past.Last = &boot.Place{Server: h.Server, Pool: h.Pool, Serial: h.Serial, PoolSerial: h.PoolSerial}
	}
	return past
}
