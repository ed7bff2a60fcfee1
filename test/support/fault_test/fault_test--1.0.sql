\echo Use "CREATE EXTENSION fault_test" to load this file. \quit

-- From now on the at-th request of a kind that the library under test makes in this session fails, once: palloc (of any memory
-- context), new, sql (a statement that is run by SPI). cancel: at the at-th palloc the session is cancelled.
CREATE FUNCTION fault_arm(kind text, at bigint) RETURNS void LANGUAGE c STRICT AS 'MODULE_PATHNAME';

-- The same for every projector of the server.
CREATE FUNCTION fault_arm_projector(kind text, at bigint) RETURNS void LANGUAGE c STRICT AS 'MODULE_PATHNAME';

-- Stops counting. fired: it failed; seen: how many requests there were.
CREATE FUNCTION fault_disarm(OUT fired boolean, OUT seen bigint) LANGUAGE c AS 'MODULE_PATHNAME';
CREATE FUNCTION fault_disarm_projector(OUT fired boolean, OUT seen bigint) LANGUAGE c AS 'MODULE_PATHNAME';

-- Makes the session forget what it knows of the catalogue, as a flood of invalidations does.
CREATE FUNCTION fault_forget() RETURNS void LANGUAGE c AS 'MODULE_PATHNAME';

-- Bytes in memory that are this process's own (shared buffers and code are not), and bytes in the server's memory contexts.
CREATE FUNCTION fault_memory(OUT resident bigint, OUT contexts bigint) LANGUAGE c AS 'MODULE_PATHNAME';
