package ServerNames;

# Which names of the server a source uses, and whether it includes what declares them. Part of the layer check.
#
# name_violations($file, $code) returns one sentence for each thing that is wrong; $code is the source without comments:
#   - a file that includes postgres/pg.hpp uses a name of the server that postgres/types.hpp does not declare;
#   - a file that uses such a name includes pg.hpp itself, and one that uses a name of types.hpp includes one of the two;
#   - what differs between versions of the server, and what src/postgres wraps, is called in src/postgres only.
#
# The lists are not complete: a file may use a name that they lack. A file that includes pg.hpp for such a name alone is
# complained of, and then the name belongs here.

use strict;
use warnings;
use Exporter 'import';

our @EXPORT_OK = qw(name_violations);

my $DOOR = 'postgres/pg.hpp';
my $TYPES = 'postgres/types.hpp';

# `text` is a type where a pointer to it is meant; a Snapshot of the model is another one.
my $DECLARED_BY_TYPES = qr{
    \b(?:
        Datum | Oid | TimestampTz | TimeLineID | bytea | Numeric | Relation | TupleDesc | MemoryContext | FunctionCallInfo
      | BackgroundWorkerHandle | FullTransactionId | TupleTableSlot | ReturnSetInfo
      | text (?=\s*\*)
      | (?<! model::) Snapshot (?! \w | \()
    )\b
}x;

my $OF_THE_SERVER = qr{
    \b(?:
        # types that are looked into
        SnapshotData | HeapTuple\w* | ScanKey\w* | \w+ScanDesc | IndexInfo | EState | ResultRelInfo | ItemPointer\w* | Latch
      | List | ListCell | Node | NodeTag | ArrayType | AnyArrayType | Interval | Jsonb\w* | JBV\w* | FmgrInfo | StringInfo\w*
      | TriggerData | ErrorData | CallContext | PGPROC | LOCKMODE | LOCKTAG | VirtualTransactionId | CommandId
      | SubTransactionId | LocalTransactionId | TransactionId | FullTransactionId[A-Z]\w* | XactEvent | SubXactEvent | XLogRecPtr
      | Size | u?int(?:8|16|32|64) | bits8 | Form_\w+ | RangeVar | \w+Stmt | AclMode | AclResult | BackgroundWorker
      | pg_atomic_\w+ | SPIPlanPtr | SPITupleTable | sigjmp_buf | ErrorContextCallback | ResourceOwner | GucSource | config_\w+

        # macros
      | PG_\w+ | ERRCODE_\w+ | NAMEDATALEN | MAXPGPATH | USECS_PER_SEC | \w+OID | InvalidOid | OidIsValid | VARSIZE\w*
      | SET_VARSIZE\w* | VARHDRSZ | VARDATA\w* | CHECK_FOR_INTERRUPTS | IsA | lengthof | (?:Invalid|FirstNormal)\w*TransactionId
      | (?:Access|Row|Share|Exclusive)\w*Lock | PGC_\w+ | GUC_\w+ | WL_\w+ | XACT_\w+ | SUBXACT_\w+ | INVALID_\w+ | DEBUG\d | LOG
      | CritSectionCount | WARNING | FATAL | PANIC | ACL_\w+ | CALLED_AS_TRIGGER

        # functions
      | \w+GetDatum | DatumGet\w+ | DirectFunctionCall\d | ereport | elog | err(?:code|msg|detail|hint|context)\w* | palloc\w*
      | repalloc | pfree | pstrdup | pnstrdup | psprintf | MemoryContext[A-Z]\w* | (?:Current|Top)MemoryContext | AllocSet\w+
      | appendStringInfo\w* | initStringInfo | (?:un)?pack_sql_state | pg_\w+ | float8out_internal | numeric_(?!limits\b)\w+
      | Get(?:Current|Transaction|Active|Top|Latest|Oldest|User|Session|System|Database|Real)\w* | My[A-Z]\w+ | IsUnderPostmaster
      | IsTransaction\w* | Isolation\w+ | TransactionId[A-Z]\w+ | U64From\w+ | (?:Start|Commit|Abort)\w*Transaction\w*Command
      | (?:Push|Pop)ActiveSnapshot | (?:Un)?[Rr]egister\w*Snapshot | RegisterXactCallback | RegisterSubXactCallback
      | Invalidate\w+ | AcceptInvalidationMessages | Cache\w+ | Lock\w*(?:Oid|Acquire\w*|Release\w*) | UnlockRelation\w*
      | ConditionalLock\w+ | SET_LOCKTAG_\w+ | LWLock\w+ | SpinLock\w+ | ConditionVariable\w+ | Shmem\w+ | ProcArray\w+
      | \w+Latch | before_shmem_exit | on_\w+_exit | proc_exit | Prevent\w+ | RecoveryInProgress | DefineCustom\w+ | MarkGUC\w+
      | SetConfig\w+ | set_config_option | \w*GUC\w* | table_\w+(?=\() | index_\w+(?=\() | slot_\w+(?=\() | systable_\w+
      | SearchSysCache\w* | ReleaseSysCache | Exec[A-Z]\w+ | Relation(?:Get|Is|Id)\w* | find_inheritance_children | makeNode
      | foreach | lfirst\w* | list_\w+(?=\() | InitMaterializedSRF | tuplestore_\w+ | DisableSignals | BackgroundWorker(?!Handle)[A-Z]\w+
      | pgstat_\w+ | Async_Notify | ProcessUtility\w* | SignalHandler\w+ | TimestampDifference\w* | ForceSyncCommit
      | (?:en|dis)able_timeout\w* | QueryCancelPending
    )\b
}x;

# They have another name or another shape in another version. Some of them only src/postgres/server_versions.hpp may know.
my $OF_SOME_VERSIONS = qr{
    \b(
        PG_VERSION_NUM | ExecInsertIndexTuples | simple_table_tuple_update | TU_\w+ | ShmemVariableCache | TransamVariables
      | lxid | vxid | pgprocno | GetNumberFromPGProc | index_beginscan | RelationGetPrimaryKeyIndex | LockAcquireExtended
      | isBackgroundWorker | isRegularBackend | force_parallel_mode | debug_parallel_query
      | pg_namespace_aclcheck | pg_class_ownercheck | object_aclcheck | object_ownercheck
    )\b
}x;

# They have a wrapper in postgres/text, spi, jsonb or catalog.
my $WRAPPED = qr{
    \b(
        VARDATA_ANY | VARSIZE_ANY\w* | cstring_to_text\w* | text_to_cstring\w* | CStringGetTextDatum | TextDatumGetCString
      | DatumGetTextP\w* | PG_GETARG_TEXT_\w+ | hash_bytes\w*
      | SPI_\w+
      | pushJsonbValue | JsonbValueToJsonb | JsonbIterator\w*
      | get_extension_oid | getExtensionOfObject | get_namespace_oid | get_relname_relid | systable_\w+
    )\b
}x;

sub name_violations {
    my ($file, $code) = @_;
    return () if $file eq $DOOR || $file eq $TYPES;
    my $text = _without_includes_and_words($code);
    my @found;
    push @found, "uses $1, which differs between versions of the server; that is for src/postgres"
        if $file !~ m{^postgres/} && $text =~ $OF_SOME_VERSIONS;
    push @found, "uses $1, which src/postgres wraps" if $file !~ m{^postgres/} && $text =~ $WRAPPED;

    my $includes_door = $code =~ /^\s*#\s*include\s*"\Q$DOOR\E"/m;
    my $includes_types = $code =~ /^\s*#\s*include\s*"\Q$TYPES\E"/m;
    return @found if $file =~ m{^model/};    # knows neither: names of its own may be the same
    my ($name) = $text =~ /($OF_THE_SERVER)/;
    my ($type) = $text =~ /($DECLARED_BY_TYPES)/;
    push @found, "uses $name of the server, but does not include $DOOR" if defined $name && !$includes_door;
    push @found, "uses $type of the server, but includes neither $DOOR nor $TYPES"
        if defined $type && !defined $name && !$includes_door && !$includes_types;
    push @found, "includes $DOOR, but uses " . (defined $type ? "only what $TYPES declares" : 'nothing of the server')
        if $includes_door && !defined $name;
    push @found, "includes $TYPES, but uses nothing that it declares" if $includes_types && !defined $type;
    return @found;
}

# SQL in a string names types as well.
sub _without_includes_and_words {
    my ($code) = @_;
    return $code =~ s/^\s*#\s*include[^\n]*//gmr =~ s/"(?:\\.|[^"\\\n])*"/""/gr;
}

1;
