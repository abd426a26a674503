# nix-build packaging/nix
{ pkgs ? import <nixpkgs> { } }:

pkgs.rustPlatform.buildRustPackage {
  pname = "visord";
  version = "0.1.0";
  src = pkgs.lib.cleanSource ../..;
  cargoLock.lockFile = ../../Cargo.lock;
  # The tests want accounts, cron and supervisord; they are for the repository's own machine.
  doCheck = false;
  postInstall = ''
    installManPage man/*.1 man/*.5 man/*.7
    installShellCompletion --bash --name visorctl completions/visorctl.bash
    installShellCompletion --zsh completions/_visorctl
    installShellCompletion --fish completions/visorctl.fish
  '';
  nativeBuildInputs = [ pkgs.installShellFiles ];
  meta = {
    description = "supervisord without the superuser";
    homepage = "https://github.com/visor-project/visor";
    license = with pkgs.lib.licenses; [ mit asl20 ];
    mainProgram = "visorctl";
    platforms = pkgs.lib.platforms.unix;
  };
}
