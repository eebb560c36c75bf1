-- Tells Rekindle of every account that is made, changed or deleted: a trigger on auth.users that sends signed webhooks.
--
-- Run it in the SQL editor of the Supabase project, which works as the role postgres; again whenever this file changed.
-- First put the address and the secret into the vault. The same secret goes into SUPABASE_WEBHOOK_SECRETS:
--
--   select vault.create_secret('https://api.example.com/api/webhooks/supabase', 'rekindle_webhook_url');
--   select vault.create_secret('<output of: openssl rand -hex 32>', 'rekindle_webhook_secret');
--
-- To remove everything:
--
--   drop trigger rekindle_account on auth.users;
--   drop schema rekindle cascade;
--
-- A request is queued in the transaction that changes the account, and sent by pg_net once that is committed. Nothing
-- that fails here fails a sign-up. Requests can be lost: Rekindle also compares its accounts with Supabase's list.

do $$
begin
    if to_regproc('net.http_post') is null then
        create extension if not exists pg_net;
    end if;
end
$$;

create schema if not exists rekindle;
revoke all on schema rekindle from public;

-- HMAC-SHA256 (RFC 2104) from the built-in sha256(), so that pgcrypto is not needed.
create or replace function rekindle.hmac_sha256(message bytea, secret bytea) returns bytea
    language plpgsql immutable strict parallel safe
    set search_path = ''
as $$
declare
    key bytea := case when octet_length(secret) > 64 then sha256(secret) else secret end;
    inner_key bytea;
    outer_key bytea;
begin
    key := key || decode(repeat('00', 64 - octet_length(key)), 'hex');
    inner_key := key;
    outer_key := key;
    for position in 0..63 loop
        inner_key := set_byte(inner_key, position, get_byte(key, position) # 54);  -- 0x36
        outer_key := set_byte(outer_key, position, get_byte(key, position) # 92);  -- 0x5c
    end loop;
    return sha256(outer_key || sha256(inner_key || message));
end
$$;

-- The only columns that leave the database. Password hashes, one-time tokens and phone numbers are not among them.
-- It takes JSON, so that a column which Supabase adds or drops breaks nothing.
create or replace function rekindle.watched(account jsonb) returns jsonb
    language sql immutable strict parallel safe
    set search_path = ''
as $$
    select jsonb_build_object(
        'id', account -> 'id',
        'email', account -> 'email',
        'email_confirmed_at', account -> 'email_confirmed_at',
        'banned_until', account -> 'banned_until',
        'deleted_at', account -> 'deleted_at',
        'is_anonymous', account -> 'is_anonymous',
        'created_at', account -> 'created_at',
        'raw_user_meta_data', (
            select coalesce(jsonb_object_agg(item.key, item.value), '{}')
            from jsonb_each(
                case jsonb_typeof(account -> 'raw_user_meta_data')
                    when 'object' then account -> 'raw_user_meta_data' else '{}'
                end
            ) as item
            where item.key in (
                'first_name', 'last_name', 'given_name', 'family_name', 'full_name', 'name', 'avatar_url', 'picture'
            )
        )
    )
$$;

-- It works with the rights of its owner: the role that changes accounts can neither read the vault nor queue requests.
create or replace function rekindle.tell_account() returns trigger
    language plpgsql security definer
    set search_path = ''
as $$
declare
    known jsonb;
    record jsonb;
    body jsonb;
    sent_at text := floor(extract(epoch from clock_timestamp()))::bigint::text;
    webhook_url text;
    secret text;
begin
    if tg_op <> 'INSERT' then
        known := rekindle.watched(to_jsonb(old));
    end if;
    if tg_op <> 'DELETE' then
        record := rekindle.watched(to_jsonb(new));
    end if;
    -- Every sign-in updates a row; most say nothing new.
    if tg_op = 'UPDATE' and record = known then
        return null;
    end if;

    select decrypted_secret into webhook_url from vault.decrypted_secrets where name = 'rekindle_webhook_url';
    select decrypted_secret into secret from vault.decrypted_secrets where name = 'rekindle_webhook_secret';
    if webhook_url is null or secret is null then
        raise warning 'rekindle: no webhook is sent: rekindle_webhook_url or rekindle_webhook_secret is not in the vault';
        return null;
    end if;

    body := jsonb_build_object(
        'type', tg_op,
        'schema', tg_table_schema,
        'table', tg_table_name,
        'record', record || jsonb_build_object('updated_at', to_jsonb(new) -> 'updated_at'),
        'old_record', case when tg_op = 'DELETE' then jsonb_build_object('id', known -> 'id') end
    );
    perform net.http_post(
        url := webhook_url,
        body := body,
        headers := jsonb_build_object(
            'Content-Type', 'application/json',
            'x-supabase-timestamp', sent_at,
            -- pg_net sends body::text in UTF-8: exactly what is signed here.
            'x-supabase-signature', encode(
                rekindle.hmac_sha256(
                    convert_to(sent_at || '.' || body::text, 'UTF8'), convert_to(secret, 'UTF8')
                ),
                'hex'
            )
        ),
        timeout_milliseconds := 5000
    );
    return null;
exception
    when others then
        -- The state only: a message could quote the account.
        raise warning 'rekindle: no webhook is sent, error %', sqlstate;
        return null;
end
$$;

revoke all on all functions in schema rekindle from public;

drop trigger if exists rekindle_account on auth.users;
create trigger rekindle_account
    after insert or update or delete on auth.users
    for each row execute function rekindle.tell_account();
