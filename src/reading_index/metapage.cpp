// Reads and changes the metapage. This file is written wholly in P.
#include "reading_index/metapage.hpp"

#include "postgres/critical_section.hpp"
#include "postgres/pg.hpp"

namespace reading_index {

void write_metapage(Relation index, ForkNumber fork) {
    Buffer buffer = ReadBufferExtended(index, fork, P_NEW, RBM_NORMAL, nullptr);
    LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
    postgres::begin_critical_section();
    prepare_page(BufferGetPage(buffer), sizeof(Meta));
    Meta* meta = meta_of(BufferGetPage(buffer));
    memset(meta, 0, sizeof *meta);
    meta->magic = kMagic;
    meta->end = 1;
    MarkBufferDirty(buffer);
    if (fork == INIT_FORKNUM || RelationNeedsWAL(index)) log_newpage_buffer(buffer, true);
    postgres::end_critical_section();
    UnlockReleaseBuffer(buffer);
}

void read_meta(Relation index, Meta& meta) {
    Buffer buffer = ReadBuffer(index, 0);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    meta = *meta_of(BufferGetPage(buffer));
    UnlockReleaseBuffer(buffer);
    if (meta.magic != kMagic)
        ereport(ERROR, (errcode(ERRCODE_INDEX_CORRUPTED),
                        errmsg("index \"%s\" has no metapage of a reading index", RelationGetRelationName(index)),
                        errhint("REINDEX makes the index anew.")));
}

void copy_runs(Meta& to, const Meta& from) {
    to.end = from.end;
    to.last_stamp = from.last_stamp;
    to.run_count = from.run_count;
    to.free_count = from.free_count;
    to.merge = from.merge;
    memcpy(to.runs, from.runs, sizeof to.runs);
    memcpy(to.free, from.free, sizeof to.free);
}

}  // namespace reading_index
