# shellcheck shell=bash disable=SC2153
# Runs on a new machine: register with GitHub as an ephemeral runner, run one job, and be gone. Bash; needs API,
# ARCHITECTURE, GROUP, HOURS, LABEL, REGION, REPOSITORY and SECRET in the environment.
set -euo pipefail

HOME_OF_RUNNER="${HOME_OF_RUNNER:-/opt/runner}"
METADATA="${METADATA:-http://169.254.169.254}"

say() { echo "runner: $*" >&2; }

instance_id() {
    local session
    session=$(curl -sSf -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 300" "$METADATA/latest/api/token")
    curl -sSf -H "X-aws-ec2-metadata-token: $session" "$METADATA/latest/meta-data/instance-id"
}

leave() {
    say "leaving with exit code $?"
    aws --region "$REGION" autoscaling terminate-instance-in-auto-scaling-group \
        --instance-id "$(instance_id)" --should-decrement-desired-capacity || shutdown -h now
}

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# A token of the GitHub App, valid for five minutes: RS256 over header and claims.
app_token() { # app_id, private key
    local now claims unsigned
    now=$(date +%s)
    claims=$(jq -cn --arg app "$1" --argjson now "$now" '{iat: ($now - 60), exp: ($now + 300), iss: $app}')
    unsigned="$(printf '{"alg":"RS256","typ":"JWT"}' | base64url).$(printf '%s' "$claims" | base64url)"
    printf '%s.%s' "$unsigned" "$(printf '%s' "$unsigned" | openssl dgst -sha256 -sign <(printf '%s\n' "$2") -binary | base64url)"
}

github() { # method, token, path; the token comes by standard input, so that no list of processes shows it
    printf 'header = "Authorization: Bearer %s"\n' "$2" |
        curl -sSf --retry 3 -K - -X "$1" -H "Accept: application/vnd.github+json" "$API$3"
}

trap leave EXIT

dnf install -y -q jq git libicu tar gzip make python3.12 python3.12-pip
secret=$(aws --region "$REGION" secretsmanager get-secret-value --secret-id "$SECRET" --query SecretString --output text)
field() { jq -er --arg key "$1" '.[$key]' <<<"$secret" || { say "the secret $SECRET has no $1"; exit 1; }; }
jwt=$(app_token "$(field app_id)" "$(field private_key)")
token=$(github POST "$jwt" "/app/installations/$(field installation_id)/access_tokens" | jq -er .token)

mkdir -p "$HOME_OF_RUNNER" && cd "$HOME_OF_RUNNER"
download=$(github GET "$token" "/repos/$REPOSITORY/actions/runners/downloads" |
    jq -ec --arg arch "$ARCHITECTURE" '.[] | select(.os == "linux" and .architecture == $arch)')
curl -sSfL --retry 3 -o runner.tar.gz "$(jq -r .download_url <<<"$download")"
echo "$(jq -r .sha256_checksum <<<"$download")  runner.tar.gz" | sha256sum --check --quiet
tar -xzf runner.tar.gz && rm runner.tar.gz
id runner >/dev/null 2>&1 || useradd --system --home-dir "$HOME_OF_RUNNER" runner
chown -R runner "$HOME_OF_RUNNER"

registration=$(github POST "$token" "/repos/$REPOSITORY/actions/runners/registration-token" | jq -er .token)
as_runner() { runuser -u runner -- env -i PATH="$PATH" HOME="$HOME_OF_RUNNER" "$@"; }
as_runner ./config.sh --unattended --ephemeral --replace --url "https://github.com/$REPOSITORY" --token "$registration" \
    --name "$(instance_id)" --labels "$LABEL"
unset secret jwt token registration download
as_runner timeout --signal INT "${HOURS}h" ./run.sh
